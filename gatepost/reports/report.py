"""Report about the state of a daemon, and its form on the way to accounts: one JSON object.

Both sides bound each value and make it printable.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from gatepost.journal.record import MAX_TIME, clean
from gatepost.reports.queue_state import QueueState, QueueStateError, decode_queue, encode_queue

COMPONENTS: Final = ("milters", "policyd", "delivery", "accounts", "postfix")
"""The daemons, by the names of their sections, and Postfix, about which another process reports."""
MAX_LINES: Final = 20
"""Problems, and remarks, of a report."""
MAX_LINE: Final = 300
"""Characters of a problem or a remark."""
MAX_NAME: Final = 255
"""Characters of the name of an instance: a host name."""
MAX_VERSION: Final = 64
MAX_REPORT: Final = 64 << 10
"""Octets of a report: twice as many lines, with six octets for a character."""


class ReportError(ValueError):
    """An object is not a report."""


class StateReport(NamedTuple):
    """The state of one daemon on one host, or in one pod.

    `started` is in seconds since the epoch. `problems` are the lines of `/readyz` and `/healthz`
    because of which it takes no mail; `remarks` are about what works less well. Each begins with
    what it is about, and a colon. `is_over`: the daemon ends, and this is its last report. `queue`
    is that of a Postfix.
    """

    component: str
    instance: str
    version: str
    started: int
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    is_over: bool = False
    queue: QueueState | None = None


def encode_report(report: StateReport) -> bytes:
    """Return the octets of a report."""
    shown: dict[str, Any] = {
        "component": report.component,
        "instance": clean(report.instance, MAX_NAME),
        "version": clean(report.version, MAX_VERSION),
        "started": report.started,
        "problems": _lines(report.problems),
        "remarks": _lines(report.remarks),
        "over": report.is_over,
    }
    if report.queue is not None:
        shown["queue"] = encode_queue(report.queue)
    return json.dumps(shown, separators=(",", ":")).encode("ascii")


def decode_report(octets: bytes) -> StateReport:
    """Return the report in these octets, again bounded and printable; raises `ReportError`."""
    if len(octets) > MAX_REPORT:
        raise ReportError("it is too long")
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        raise ReportError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ReportError("it is not an object")
    component, over = found.get("component"), found.get("over", False)
    if component not in COMPONENTS or not isinstance(over, bool):
        raise ReportError("it names no daemon")
    started = found.get("started")
    if isinstance(started, bool) or not isinstance(started, int) or not 0 <= started <= MAX_TIME:
        raise ReportError("its time is out of range")
    instance = _text(found.get("instance"), MAX_NAME)
    if not instance:
        raise ReportError("it names no host")
    try:
        queue = decode_queue(found.get("queue"))
    except QueueStateError as error:
        raise ReportError(str(error)) from None
    return StateReport(
        component,
        instance,
        _text(found.get("version"), MAX_VERSION),
        started,
        _read_lines(found.get("problems", [])),
        _read_lines(found.get("remarks", [])),
        over,
        queue,
    )


def _lines(lines: tuple[str, ...]) -> list[str]:
    return [clean(line, MAX_LINE) for line in lines[:MAX_LINES]]


def _read_lines(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ReportError("its lines are no list")
    return tuple(_text(line, MAX_LINE) for line in value[:MAX_LINES])


def _text(value: Any, length: int) -> str:
    if not isinstance(value, str):
        raise ReportError("a value that should be a text is none")
    return clean(value, length)
