"""Rows of another system's database, from a dump or from the database itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from accounts.exchange.notes import SourceError, SourcePlace

CellValue: TypeAlias = "str | int | float | bool | bytes | dt.datetime | dt.date | None"

MOST_ROWS = 3_000_000
"""Rows of all tables together."""

_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off", ""})


class RowError(ValueError):
    """A row has a value that cannot be used; the message names the column, never the value."""


@dataclass(slots=True)
class TableRow:
    """One row. Columns that the table lacks read as if they were NULL."""

    columns: Mapping[str, int]
    values: Sequence[CellValue]
    place: SourcePlace

    def value(self, column: str) -> CellValue:
        """Return the value as it was read."""
        index = self.columns.get(column)
        return self.values[index] if index is not None and index < len(self.values) else None

    def text(self, column: str) -> str:
        """Return text without blanks around it; empty for NULL. Raises `RowError` for bad UTF-8."""
        value = self.value(column)
        if value is None:
            return ""
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise RowError(f"{column} is not UTF-8") from None
        text = str(value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise RowError(f"{column} is not UTF-8")
        return text.strip()

    def prose(self, column: str) -> str:
        """Return text for people, with U+FFFD for invalid UTF-8 and control characters.

        A tab and the end of a line become a blank.
        """
        value = self.value(column)
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
        return "".join(map(_shown, text)).strip()

    def number(self, column: str, default: int = 0) -> int:
        """Return a whole number; `default` for NULL and for the empty text."""
        value = self.value(column)
        if isinstance(value, bool | int):
            return int(value)
        text = self.text(column)
        if not text:
            return default
        digits = text.removeprefix("-").removesuffix(".0")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            raise RowError(f"{column} is not a number")
        return -int(digits) if text.startswith("-") else int(digits)

    def flag(self, column: str, default: bool = True) -> bool:
        """Return a truth value in any of the forms that the databases have."""
        value = self.value(column)
        if value is None:
            return default
        word = self.text(column).lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise RowError(f"{column} is neither true nor false")


@dataclass(slots=True)
class Tables:
    """Rows by the name of their table, and the places that could not be read."""

    rows: dict[str, list[TableRow]] = field(default_factory=dict)
    problems: list[tuple[SourcePlace, str]] = field(default_factory=list)
    count: int = 0

    def add(self, table: str, row: TableRow) -> None:
        """Add a row; raise `SourceError` for more than `MOST_ROWS`."""
        self.count += 1
        if self.count > MOST_ROWS:
            raise SourceError(f"{row.place}: there are more than {MOST_ROWS} rows")
        self.rows.setdefault(table, []).append(row)

    def __getitem__(self, table: str) -> Iterator[TableRow]:
        return iter(self.rows.get(table, ()))

    def __contains__(self, table: str) -> bool:
        return table in self.rows


def _shown(character: str) -> str:
    if character < " " or "\ud800" <= character <= "\udfff":
        return " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
    return character
