"""The files and folders that a section names, and which of them are watched.

The type of a field says how its file is used, so that no file can be forgotten: a type of value
that names a file is marked `Watched` or `Unwatched`. `gatepost.config.types` has the types.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

_COLLECTIONS = (tuple, list, set, frozenset)


@dataclass(frozen=True, slots=True)
class Watched:
    """Marks values that name a file or folder to read again when it changes.

    `path_of` returns the path in such a value.
    """

    path_of: Callable[[Any], Path]


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Marks values that name a file or folder whose changes do not matter, with the reason."""

    why: str


def watched_paths(section: BaseModel, fields_of: type[BaseModel] | None = None) -> Iterator[Path]:
    """Yield every watched file and folder that `section` and the tables in it name.

    `fields_of` limits the walk to the fields of a base of the section's model.
    """
    for name, info in (fields_of or type(section)).model_fields.items():
        yield from paths_in(info.annotation, info.metadata, getattr(section, name))


def paths_in(annotation: Any, metadata: Sequence[Any], value: Any) -> Iterator[Path]:
    """Yield the watched paths in `value`, from a field with this annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if value is None:
        return
    marks = [item for item in metadata if isinstance(item, Watched)]
    if marks:
        yield marks[0].path_of(value)
    elif isinstance(value, BaseModel):
        yield from watched_paths(value)
    elif origin is Annotated:
        yield from paths_in(arguments[0], arguments[1:], value)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            if _may_hold(argument, value):
                yield from paths_in(argument, (), value)
                return
    elif origin in _COLLECTIONS:
        yield from _paths_in_items(arguments, value)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        for key, item in value.items():
            yield from paths_in(arguments[0], (), key)
            yield from paths_in(arguments[1], (), item)


def _paths_in_items(arguments: Sequence[Any], value: Any) -> Iterator[Path]:
    is_fixed = len(arguments) > 1 and arguments[1] is not ...
    for n, item in enumerate(value):
        yield from paths_in(arguments[n] if is_fixed else arguments[0], (), item)


def _may_hold(annotation: Any, value: Any) -> bool:
    """Return whether `value` is an instance of a union member."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _may_hold(get_args(annotation)[0], value)
    kind = origin or annotation
    return isinstance(kind, type) and isinstance(value, kind)
