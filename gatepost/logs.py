"""Structured logs on standard error: one line per decision.

Console lines are for people, JSON lines (one object per line) for machines. A value can never break
out of its line, and none is longer than `MAX_VALUE` characters, because many values come from mail.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

from gatepost.config import LogSettings
from gatepost.log_output import Output
from gatepost.printable import escape, escape_lines

MAX_VALUE = 1000
"""Maximum characters of one logged value: enough for every address and reason, while a whole line
stays below the size of an atomic write to a pipe (PIPE_BUF), so that lines of several workers do
not mix."""

# created once: json.dumps would create one for each line
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode

_TRACES = frozenset({"exception", "stack"})
"""Keys whose values have several lines."""
_OWN_COLUMNS = frozenset({"event", "level"}) | _TRACES
"""Keys that the console shows without a name and `=`."""
_QUOTED = frozenset(" =\"'\\")
"""Characters that would make the end of a value ambiguous."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def get_logger(daemon: str) -> FilteringBoundLogger:
    """Return the logger of a daemon or a part of it; its name is the key `daemon` in every line."""
    return cast(FilteringBoundLogger, structlog.get_logger(daemon=daemon))


def output() -> Output | TextIO:
    """Return the output of this process's log lines: standard error."""
    try:
        return _output_to(sys.stderr.fileno())
    except OSError:
        return sys.stderr  # it is captured in this process and has no descriptor


@functools.cache
def _output_to(descriptor: int) -> Output:
    return Output(descriptor)


def as_json(settings: LogSettings) -> bool:
    """Return whether these settings select one JSON object per line."""
    return settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())


def configure(settings: LogSettings) -> None:
    """Set format and level for this process; called once, before the first line."""
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _bound_values,
    ]
    if as_json(settings):
        processors.append(structlog.processors.JSONRenderer(serializer=_dumps))
    else:
        processors.append(_escaped)
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, output())),
        cache_logger_on_first_use=True,
    )


def _dumps(event: Any, **_: Any) -> str:
    return _encode(_valid(event))


def _valid(value: Any) -> Any:
    """Return `value` in a form that every JSON parser accepts: no lone surrogate, NaN or infinity.

    The parsers of jq and Rust would reject the whole line.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {_valid(str(key)): _valid(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_valid(item) for item in value]
    return _valid(str(value))


class _Shown:
    """A value for the console: the renderer uses `repr` for anything that is not text."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        value = self._value
        if isinstance(value, str) and value.isprintable() and not _QUOTED.intersection(value):
            return value or "''"
        return escape(repr(value))


def _escaped(
    _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape terminal control characters in names and values."""
    shown: dict[str, Any] = {}
    for key, value in event.items():
        if key in _OWN_COLUMNS:
            shown[key] = escape_lines(str(value)) if key in _TRACES else escape(str(value))
        else:
            shown[escape(key)] = _Shown(value)
    return shown


def _bound_values(
    _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Truncate long values; a traceback keeps its end, which has the error."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > MAX_VALUE:
            if key == "exception":
                event[key] = "…" + value[-3 * MAX_VALUE :]
            else:
                event[key] = value[:MAX_VALUE] + "…"
    return event
