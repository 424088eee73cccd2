"""Draft of a gatepost.toml: its settings, and findings about them."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from milters.keys.tables.dataset import DataSet, read_dataset
from milters.keys.tables.errors import Place
from milters.migration.opendkim.configuration import OpendkimConfiguration, Option
from milters.migration.opendkim.files import Files

Value: TypeAlias = str | int | bool | Sequence[str]

MAX_UNDECIDED = 200
"""Maximum number of undecided points in the file; a last line gives the number of the others."""

MAX_POINT = 1000
"""Maximum characters of an undecided point; a line of a table may be four times as long."""


class MigrationLevel(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Mail would be signed wrongly or not at all; an administrator must decide."""
    WARNING = "warning"
    """Gatepost does something differently from opendkim."""
    NOTE = "note"
    """Worth knowing; no action is needed."""


@dataclass(frozen=True, slots=True)
class MigrationFinding:
    """A finding about one line."""

    level: MigrationLevel
    place: Place
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.level}: {self.subject}: {self.text}"


@dataclass(slots=True)
class Draft:
    """Settings by table, each with the line that it comes from, and findings."""

    conf: OpendkimConfiguration
    files: Files
    tables: dict[str, dict[str, tuple[Value, Place]]] = field(default_factory=dict)
    keys: list[dict[str, tuple[Value, Place]]] = field(default_factory=list)
    """The `[[milters.key]]` tables."""
    findings: list[MigrationFinding] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The folder to which relative paths refer."""
        return Path(self.conf.value("BaseDirectory", default="/"))

    def dataset(self, option: Option) -> DataSet:
        """Return the data set that an option names; raises `OpendkimError`."""
        return read_dataset(option.value, option.place, self.base, self.files.read)

    def set(self, table: str, key: str, value: Value, place: Place) -> None:
        """Set `key` of a table of gatepost.toml."""
        self.tables.setdefault(table, {})[key] = value, place

    def add_key(self, domain: str, selector: str, file: str, place: Place) -> None:
        """Add a `[[milters.key]]`."""
        self.keys.append(
            {
                "domain": (domain, place),
                "selector": (selector, place),
                "file": (file, place),
            }
        )

    def find(self, level: MigrationLevel, place: Place, subject: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(MigrationFinding(level, place, subject, text))

    def undecided(self) -> list[str]:
        """Return the points that an administrator must decide, each with its file and line."""
        errors = sorted(
            (one for one in self.findings if one.level is MigrationLevel.ERROR),
            key=lambda one: (one.place.file, one.place.line),
        )
        points = [f"{one.place}: {one.subject}: {one.text}" for one in errors[:MAX_UNDECIDED]]
        if len(errors) > MAX_UNDECIDED:
            points.append(f"{len(errors) - MAX_UNDECIDED} more: see the output of the import")
        return [" ".join(point.split())[:MAX_POINT] for point in dict.fromkeys(points)]

    def to_toml(self) -> str:
        """Return the text of gatepost.toml, with the origin of each line in a comment.

        Undecided points come first, as `undecided`; Gatepost refuses a configuration with it.
        """
        tables = sorted(self.tables, key=lambda name: (_ORDER.index(name), name))
        blocks = [_block(f"[{name}]", self.tables[name]) for name in tables]
        blocks += [_block("[[milters.key]]", key) for key in self.keys]
        if points := self.undecided():
            listed = "".join(f"    {_string(point)},\n" for point in points)
            blocks.insert(0, f"{_DECIDE}undecided = [\n{listed}]\n")
        return "\n".join(blocks)


_DECIDE = """\
# Decide each of these points, then remove its line: Gatepost refuses this file until then.
"""

_ORDER = (
    "dns",
    "milters",
    "milters.sign",
    "milters.verify",
    "milters.policy",
    "milters.policy.dkim",
)


def _block(head: str, settings: dict[str, tuple[Value, Place]]) -> str:
    lines = [head]
    for key, (value, place) in settings.items():
        text = f"{key} = {_toml(value)}"
        lines.append(f"{text}  # {_comment(place)}")
    return "\n".join(lines) + "\n"


def _comment(place: Place) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(place))


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if len(value) <= 4:
        return "[" + ", ".join(map(_string, value)) + "]"
    return "[\n" + "".join(f"    {_string(item)},\n" for item in value) + "]"


def _string(text: str) -> str:
    """Return a basic string of TOML, which escapes the same characters as JSON, and DEL."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
