"""Place of a row in the order of the journal: the key where the next page of a search begins."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

from sqlalchemy import ColumnElement, and_, or_

from accounts.journal.row import JournalRow
from accounts.journal.table import JOURNAL

MAX_KEY: Final = 40
"""Characters of a key."""
_KEY: Final = re.compile(r"(\d{1,13}\.\d{1,9})-(\d{1,15})\Z", re.ASCII)


class JournalPlace(NamedTuple):
    """A place. Of rows at the same time, the one with the higher id comes later."""

    at: float
    id: int

    @classmethod
    def of(cls, row: JournalRow) -> Self:
        """Return the place of a row."""
        return cls(row.at, row.id)

    @classmethod
    def parse(cls, key: str) -> Self:
        """Return the place with this key; raises `ValueError`."""
        found = _KEY.match(key)
        if found is None:
            raise ValueError("It is no key of a page.")
        return cls(float(found[1]), int(found[2]))

    @property
    def key(self) -> str:
        """The place as text, without loss."""
        return f"{self.at!r}-{self.id}"

    def earlier(self) -> ColumnElement[bool]:
        """Return the condition for the rows before this place."""
        at, number = JOURNAL.c.at, JOURNAL.c.id
        # the first part alone bounds the search in an index
        return and_(at <= self.at, or_(at < self.at, number < self.id))
