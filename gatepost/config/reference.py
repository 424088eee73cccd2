"""The reference of gatepost.toml, written from the models that read it."""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gatepost.config import types as kinds
from gatepost.config.changes import AT_START

_KINDS: dict[Any, str] = {
    kinds.Duration: 'duration (seconds, or "90s", "5m", "2d")',
    kinds.Size: 'size (bytes, or "64K", "10M")',
    kinds.ListenAddress: "address (`inet:PORT@HOST` or `unix:/PATH`)",
    kinds.ListenAddresses: "address, or list of addresses (`inet:PORT@HOST` or `unix:/PATH`)",
    kinds.FileMode: "mode of a file",
    kinds.Network: "network (`192.0.2.0/24`)",
    kinds.Hostname: "domain name",
    kinds.WatchedPath: "path",
    kinds.WrittenPath: "path",
    kinds.BasePath: "path",
    kinds.SecretPath: "path of a file with a secret",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "nothing",
}


def reference(model: type[BaseModel]) -> str:
    """Return the reference in Markdown: a section a table, a paragraph a key."""
    lines = [
        "# gatepost.toml",
        "",
        "Written by `make docs` from the models in the code. Every key can also come from the",
        "environment: `GATEPOST_MILTERS__LISTEN` is `listen` in `[milters]`, and wins over the",
        "file; lists and tables are written as in TOML. A relative path is relative to the folder",
        "of the file. Durations and sizes may be numbers or text with a unit. A change of the file",
        'is taken over while mail flows; a key that is "read at the start" wants a restart, and',
        "the log says so.",
        "",
    ]
    lines += _fields(model, "")
    for heading, section in _sections(model, ""):
        lines += [f"## {heading}", "", inspect.cleandoc(section.__doc__ or ""), ""]
        lines += _fields(section, heading)
    return "\n".join(lines).rstrip() + "\n"


def _sections(model: type[BaseModel], above: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, info in model.model_fields.items():
        below = _model_in(info.annotation)
        if below is None:
            continue
        path = f"{above}.{name}" if above else name
        if _is_mapping(info.annotation):
            path += ".NAME"
        yield (f"[[{path}]]" if _is_sequence(info.annotation) else f"[{path}]"), below
        yield from _sections(below, path)


def _fields(model: type[BaseModel], heading: str) -> list[str]:
    lines: list[str] = []
    for name, info in model.model_fields.items():
        if _model_in(info.annotation) is not None:
            continue
        lines += [f"### `{name}`" if heading else f"## `{name}`", ""]
        lines += [(info.description or "").strip(), ""]
        start = "; read at the start" if info.json_schema_extra == AT_START else ""
        lines += [f"*{_capital(_kind(info))}{_bounds(info)}; {_default(info)}{start}.*", ""]
    return lines


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default_factory is not None:
        return "default as described"
    return f"default `{_show(info.default, info)}`"


def _show(value: Any, info: FieldInfo) -> str:
    if value is None:
        return "unset"
    if isinstance(value, enum.Enum):
        return f'"{value.value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and _strip(info) is kinds.Duration:
        return f'"{kinds.print_duration(value)}"'
    if _strip(info) is kinds.FileMode:
        return f'"{value:04o}"'
    if isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_show(item, info) for item in value) + "]"
    if isinstance(value, dict):
        return "{}" if not value else str(value)
    return f'"{value}"'


def _strip(info: FieldInfo) -> Any:
    """Restore the annotation of the model: pydantic moves `Annotated` metadata into the field."""
    for kind in _KINDS:
        if get_origin(kind) is Annotated:
            base, *metadata = get_args(kind)
            if info.annotation == base and any(item in info.metadata for item in metadata):
                return kind
    return info.annotation


def _kind(info: FieldInfo) -> str:
    return _name(_strip(info))


def _name(annotation: Any) -> str:
    if annotation in _KINDS:
        return _KINDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _name(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, types.UnionType):
        named = dict.fromkeys(
            _name(argument) for argument in arguments if argument is not type(None)
        )
        return " or ".join(named)
    if origin in (tuple, list, frozenset, set):
        return f"list of {_name(arguments[0])}"
    if origin is dict or _is_mapping(annotation):
        return f"table of {_name(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    return getattr(annotation, "__name__", str(annotation))


def _bounds(info: FieldInfo) -> str:
    words = []
    for item in info.metadata:
        if isinstance(item, annotated_types.Ge):
            words.append(f"at least {item.ge}")
        elif isinstance(item, annotated_types.Gt):
            words.append(f"more than {item.gt}")
        elif isinstance(item, annotated_types.Le):
            words.append(f"at most {item.le}")
        elif isinstance(item, annotated_types.Lt):
            words.append(f"less than {item.lt}")
    return ", " + ", ".join(words) if words else ""


def _is_sequence(annotation: Any) -> bool:
    return get_origin(annotation) in (tuple, list)


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, typing.Mapping)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if found := _model_in(argument):
            return found
    return None
