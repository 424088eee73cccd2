"""DNS data in a TOML file, for offline checks of a stored message and for tests.

Each table is a name, each key a type with one string or a list::

    ["example.org"]
    MX = ["10 mx.example.org"]
    TXT = "v=spf1 mx -all"

    ["broken.example.org"]
    rcode = "tempfail"

A name that is not in the file does not exist, unless a name below it does (RFC 8020: an empty
non-terminal exists). ``*.example.org`` matches names below example.org that do not exist (RFC
4592). CNAMEs are followed. `rcode` may be ``tempfail``; `ttl` (seconds) applies to the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from gatepost.config.toml import TomlError, parse_toml
from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Question, Rcode, RdType

DEFAULT_TTL = 300
_TYPES = frozenset(get_args(RdType))
_MAX_CNAMES = 8  # as in recursive resolvers: a longer chain is a loop or a mistake


class ZoneError(ValueError):
    """The zone file is invalid; the message says where and why."""


@dataclass(frozen=True)
class Entry:
    """The data of one name; `behaviour` is for servers that misbehave on purpose."""

    records: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ttl: int = DEFAULT_TTL
    behaviour: str = ""


class Zone:
    """Names and their records; names are lower-case and have no final dot."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)
        self._parents = {
            name.split(".", n)[n] for name in entries for n in range(1, name.count(".") + 1)
        }

    @classmethod
    def read(cls, path: Path) -> Zone:
        """Read a zone file; raises `ZoneError`."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ZoneError(f"{path}: cannot be read: {error}") from None
        except ZoneError as error:
            raise ZoneError(f"{path}: {error}") from None

    @classmethod
    def parse(cls, text: str) -> Zone:
        """Read the text of a zone file; raises `ZoneError`."""
        try:
            return cls.of(parse_toml(text))
        except TomlError as error:
            raise ZoneError(str(error)) from None

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> Zone:
        """Return a zone from tables like those of a zone file; raises `ZoneError`."""
        return cls({name.lower().removesuffix("."): _entry(name, tables[name]) for name in tables})

    def resolve(self, question: Question) -> Answer:
        """Return the answer of this zone; never raises."""
        name = question.name.lower().removesuffix(".")
        for _ in range(_MAX_CNAMES):
            entry = self._find(name)
            if entry is None:
                return NXDOMAIN if name not in self._parents else Answer(Rcode.OK, (), DEFAULT_TTL)
            if entry.behaviour:
                return TEMPFAIL
            alias = entry.records.get("CNAME")
            if alias is None or question.rdtype == "CNAME":
                return Answer(Rcode.OK, entry.records.get(question.rdtype, ()), entry.ttl)
            name = alias[0].lower().removesuffix(".")
        return TEMPFAIL

    def _find(self, name: str) -> Entry | None:
        if name in self.entries:
            return self.entries[name]
        while name and name not in self._parents:
            _, _, name = name.partition(".")
            if f"*.{name}" in self.entries:
                return self.entries[f"*.{name}"]
            if name in self.entries:
                return None  # RFC 4592 section 2.2.1: the closest encloser has no wildcard
        return None


def _entry(name: str, table: Any) -> Entry:
    if not isinstance(table, dict):
        raise ZoneError(f"{name}: write a table of records: [{name!r}]")
    records: dict[str, tuple[str, ...]] = {}
    ttl, behaviour = DEFAULT_TTL, ""
    for key, value in table.items():
        if key == "ttl" and isinstance(value, int):
            ttl = value
        elif key in ("rcode", "behaviour") and isinstance(value, str):
            behaviour = value
        elif key in _TYPES and isinstance(value, str):
            records[key] = (value,)
        elif key in _TYPES and isinstance(value, list) and all(isinstance(v, str) for v in value):
            records[key] = tuple(value)
        else:
            raise ZoneError(
                f"{name}: {key}: write one of {', '.join(sorted(_TYPES))} with a string or a list "
                f'of strings, ttl = SECONDS, or rcode = "tempfail"'
            )
    return Entry(records, ttl, behaviour)
