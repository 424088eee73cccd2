"""Loader of gatepost.toml and the environment into a typed configuration.

Order, the last one wins: the defaults of the models, the file, the environment. A variable is
named for its key, ``GATEPOST_MILTERS__LISTEN`` for ``listen`` in ``[milters]``; lists and tables
are written as TOML. There are no partial results: either everything is valid, or `ConfigError`
names every problem with file, line, key and the allowed values.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gatepost.config.lines import KeyPath, key_lines, line_of
from gatepost.config.toml import TomlError, parse_toml
from gatepost.errors import ConfigError, Problem
from gatepost.files import open_regular

PREFIX = "GATEPOST_"
MAX_FILE = 4 << 20
"""Maximum bytes of a configuration file; larger tables belong in files of their own.
"""

_CLOSE = 0.85
"""Minimum similarity (difflib) of a misspelt name to the correct one."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Places:
    """The places where the keys of a configuration were set: lines of the file, variables of the
    environment."""

    lines: dict[KeyPath, int]
    variables: Mapping[KeyPath, str]

    def variable(self, path: KeyPath) -> str:
        """Return the variable that caused a problem at `path`; empty if the file did.

        This is the variable that set the key or an enclosing key; or, for a problem with a table
        that is not in the file, a variable that set something in it.
        """
        for n in range(len(path), 0, -1):
            if path[:n] in self.variables:
                return self.variables[path[:n]]
        if not path or any(key[: len(path)] == path for key in self.lines):
            return ""
        below = (name for key, name in self.variables.items() if key[: len(path)] == path)
        return ", ".join(sorted(below))

    def problem(self, source: str, path: KeyPath, message: str) -> Problem:
        """Return a problem at `path`, in the file `source` or in the environment."""
        if variable := self.variable(path):
            set_at = next((n for n in range(len(path)) if path[:n] in self.variables), len(path))
            within = _shown(path[set_at:])
            return Problem(
                "environment", None, variable, f"{within}: {message}" if within else message
            )
        return Problem(source, line_of(self.lines, path), _shown(path), message)


def _shown(path: KeyPath) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


@dataclass(frozen=True)
class Loaded(Generic[M]):
    """A configuration and where it came from."""

    model: M
    path: Path | None
    overrides: tuple[str, ...]
    """The environment variables that set a key."""
    places: Places = field(default_factory=lambda: Places({}, {}))

    def problem(self, key: str, message: str) -> Problem:
        """Return a problem with a key that was found later, for example in a file that it names."""
        return self.places.problem(str(self.path), tuple(key.split(".")), message)


def load(
    model: type[M],
    path: Path | None,
    environ: Mapping[str, str],
    sections: Collection[str] = (),
) -> Loaded[M]:
    """Read `path` (None: no file, only defaults and environment) into `model`.

    `sections` are the names of all sections that the file may have: those that `model` lacks are
    ignored, in the file and in the environment. Raises `ConfigError`.
    """
    others = frozenset(sections) - model.model_fields.keys()
    text = _read(path) if path else ""
    source = str(path) if path else "environment"
    try:
        data = parse_toml(text)
    except TomlError as error:
        raise ConfigError.one(source, error.message, error.line) from None
    places = Places(key_lines(text), _override(model, data, environ, others))
    for section in others:
        data.pop(section, None)
    try:
        loaded = model.model_validate(
            data, context={"directory": path.parent if path else Path.cwd()}
        )
    except ValidationError as error:
        raise ConfigError(
            [_problem(item, model, data, source, places, others) for item in error.errors()]
        ) from None
    return Loaded(loaded, path, tuple(sorted(set(places.variables.values()))), places)


def _read(path: Path) -> str:
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError.one(path, f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE:
        raise ConfigError.one(path, f"larger than {MAX_FILE} bytes")
    if not raw.strip():
        # briefly empty while an editor saves it, or because the disk is full; defaults alone would
        # sign nothing
        raise ConfigError.one(path, "is empty")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError.one(path, "is not UTF-8 text", line) from None


def _override(
    model: type[BaseModel],
    data: dict[str, Any],
    environ: Mapping[str, str],
    others: Collection[str],
) -> dict[KeyPath, str]:
    """Put the environment into `data`; returns which variable set which key.

    A variable without ``__`` that does not resemble a key is ignored: Kubernetes sets such
    variables for every Service (GATEPOST_SERVICE_HOST).
    """
    origins: dict[KeyPath, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        if path[0] in others:
            continue
        if len(path) == 1 and path[0] not in model.model_fields:
            if meant := _meant(model, path[0]):
                message = f"unknown key; did you mean {PREFIX}{meant.upper()}?"
                raise ConfigError([Problem("environment", None, name, message)])
            continue
        if len(path) == 1 and _is_section(model, path[0]):
            continue
        table = data
        for key in path[:-1]:
            below = table.setdefault(key, {})
            if not isinstance(below, dict):
                raise ConfigError(
                    [Problem("environment", None, name, f"{key!r} is a value in the file")]
                )
            table = below
        table[path[-1]] = _environment_value(name, environ[name])
        origins[path] = name
    return origins


def _meant(model: type[BaseModel], word: str) -> str:
    """Guess the key meant by a variable without ``__``; empty if it is not a mistake.

    A mistake has a single underscore between section and key, or nearly the name of a key.
    """
    for section in model.model_fields:
        key = word.removeprefix(f"{section}_")
        below = _model_below(model, section)
        if key != word and below is not None and key in below.model_fields:
            return f"{section}__{key}"
    plain = [key for key in model.model_fields if not _is_section(model, key)]
    return "".join(difflib.get_close_matches(word, plain, 1, _CLOSE))


def _is_section(model: type[BaseModel], key: str) -> bool:
    annotation = model.model_fields[key].annotation
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _environment_value(name: str, text: str) -> Any:
    if not text.lstrip().startswith(("[", "{", '"')):
        return text  # the models read numbers, booleans and durations from text themselves
    try:
        return parse_toml(f"value = {text}")["value"]
    except TomlError as error:
        raise ConfigError([Problem("environment", None, name, error.message)]) from None


def _problem(
    item: Any,
    model: type[BaseModel],
    data: dict[str, Any],
    source: str,
    places: Places,
    others: Collection[str],
) -> Problem:
    path, section, written = _follow(item["loc"], model, data)
    allowed = sorted(section.model_fields) if section else []
    if section is model:
        allowed = sorted((*allowed, *others))
    variable = places.variable(path)
    if item["type"] == "extra_forbidden" and variable and all(isinstance(k, str) for k in path):
        message = _unknown_variable(variable, path, allowed)
        return Problem("environment", None, variable, message)
    return places.problem(source, path, _message(item, path, allowed, written))


def _unknown_variable(variable: str, path: KeyPath, allowed: Sequence[str]) -> str:
    """Return the message for an unknown variable, with the allowed names."""
    *above, key = map(str, path)
    names = {name: PREFIX + "__".join((*above, name)).upper() for name in allowed}
    close = difflib.get_close_matches(key, allowed, 1)
    rest = variable.removeprefix(PREFIX + "__".join(map(str, path)).upper())
    hint = f"did you mean {names[close[0]]}{rest}? " if close else ""
    return f"unknown key; {hint}allowed here: {', '.join(names.values())}"


def _follow(
    loc: tuple[str | int, ...], model: type[BaseModel], data: Any
) -> tuple[KeyPath, type[BaseModel] | None, Any]:
    """Return the keys of the file in a pydantic location, with the model and the value there.

    Pydantic adds names of union members and validators to its locations; those are not keys.
    """
    path: list[str | int] = []
    at: Any = data
    section: type[BaseModel] | None = model
    for n, key in enumerate(loc):
        holds = (isinstance(at, dict) and key in at) or (
            isinstance(at, list) and isinstance(key, int) and key < len(at)
        )
        last_missing = n == len(loc) - 1 and isinstance(at, dict) and isinstance(key, str)
        is_field = section is not None and key in section.model_fields
        if not holds and not (last_missing and is_field):
            continue
        path.append(key)
        if n < len(loc) - 1 and section is not None:
            section = _model_below(section, key)
        at = at[key] if holds else None
    return tuple(path), section, at


def _model_below(section: type[BaseModel], key: str | int) -> type[BaseModel] | None:
    if isinstance(key, int):
        return section
    field = section.model_fields.get(key)
    return _find_model(field.annotation) if field else section


def _find_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _find_model(argument):
            return found
    return None


def _message(item: Any, path: KeyPath, allowed: Sequence[str], written: Any) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(path[-1] if path else ""), allowed, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"unknown key; {hint}allowed here: {', '.join(allowed)}"
    if kind == "missing":
        return "is required"
    if kind in ("value_error", "assertion_error"):
        return str(item.get("ctx", {}).get("error", item["msg"]))
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        text = "write a table here"
    elif kind in ("tuple_type", "list_type", "set_type", "frozen_set_type"):
        text = "write a list here: [...]"
    elif kind == "too_short" and item["ctx"]["min_length"] == 1:
        text = "is empty: write at least one"
    else:
        message = str(item["msg"])
        text = f"{message[:1].lower()}{message[1:]}"
    if isinstance(written, str | int | float | bool):
        text += f", not {written!r}"
    return text
