"""Data sets: lists and tables in the options of opendkim (opendkim(8), DATA SETS)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from milters.keys.tables.errors import OpendkimError, Place
from milters.keys.tables.lines import content, read_file

DataSetKind: TypeAlias = Literal["file", "refile", "csl"]

_UNSUPPORTED = {
    "db": "a Berkeley DB",
    "bdb": "a Berkeley DB",
    "dsn": "an SQL database",
    "odbx": "an SQL database",
    "ldap": "an LDAP directory",
    "ldaps": "an LDAP directory",
    "ldapi": "an LDAP directory",
    "lua": "a Lua script",
    "memcache": "a memcached",
    "erlang": "an Erlang node",
    "mdb": "an LMDB database",
    "repute": "a reputation server",
    "socket": "a socket",
}
_PREFIX = re.compile(r"([a-z]+):(.*)\Z", re.IGNORECASE | re.DOTALL)


class UnsupportedDataSetError(OpendkimError):
    """The data set is in a database; its content must be exported to a file."""


@dataclass(frozen=True, slots=True)
class DataSetEntry:
    """One entry; `value` is empty if the set is a plain list."""

    place: Place
    key: str
    value: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the value, which colons separate."""
        return tuple(self.value.split(":")) if self.value else ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """The entries in order. In a `refile`, ``*`` in a key matches any text."""

    kind: DataSetKind
    entries: tuple[DataSetEntry, ...]
    path: Path | None = None


def classify(spec: str, place: Place) -> tuple[DataSetKind, str]:
    """Return the kind of the data set `spec`, and its path or list.

    Raises `UnsupportedDataSetError` if it is neither a file nor a list.
    """
    spec = spec.strip()
    if match := _PREFIX.match(spec):
        word, rest = match[1].lower(), match[2].strip()
        if word in ("file", "refile", "csl"):
            if not rest:
                raise OpendkimError(place, f"{spec!r} names nothing")
            return word, rest  # type: ignore[return-value]  # mypy does not narrow by `in`
        if word in _UNSUPPORTED:
            raise UnsupportedDataSetError(
                place, f"{_UNSUPPORTED[word]} is not supported: export it to a file"
            )
    if spec.endswith(".db"):
        raise UnsupportedDataSetError(place, "a Berkeley DB is not supported: export it to a file")
    if spec.startswith("/"):
        return "file", spec
    return "csl", spec


def read_dataset(
    spec: str,
    place: Place,
    base: Path = Path("/"),
    read: Callable[[Path], str] = read_file,
) -> DataSet:
    """Read the data set `spec`; a relative path starts from `base` (BaseDirectory).

    `place` is the line of `spec`. Raises `OpendkimError`.
    """
    kind, rest = classify(spec, place)
    if kind == "csl":
        return DataSet("csl", tuple(_list_entries(rest, place)))
    path = base / rest
    try:
        text = read(path)
    except OpendkimError as error:
        raise OpendkimError(place, str(error)) from error
    entries = []
    for line, bare in content(text, str(path)):
        key, _, value = bare.replace("\t", " ").partition(" ")
        entries.append(DataSetEntry(line, key, value.strip()))
    return DataSet(kind, tuple(entries), path)


def _list_entries(text: str, place: Place) -> list[DataSetEntry]:
    entries = []
    for item in text.split(","):
        key, _, value = item.strip().partition("=")
        if key.strip():
            entries.append(DataSetEntry(place, key.strip(), value.strip()))
    return entries
