"""Cache of the answers of a database, for the time while it is away.

While the database answers, it is always asked, and its answers are stored here. While it is away:

* A known answer is served, at most `keep` seconds after the database gave it last, and at most
  `keep_changed` seconds when the data have changed since then.
* An unknown question is `Unavailable`.
* The answer that there is no such row is served, too, since other answers rest on it: an address
  with an extension has no row of its own. `Recalled.is_doubtful` says that it is older than
  `trust_missing` seconds. Nothing may be refused because of a doubtful answer: somebody may have
  made the row meanwhile, by way of another process.
* Rows of logins are never kept: passwords do not lie about in memory, and nobody logs in by one
  that has been changed.

Answers with a row and those without one are kept apart, so that a flood of unknown addresses does
not push out the known ones. In each part, the least recently used answers are dropped first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from accounts.lookup.ask import Ask, RowAnswer, is_negative

ENTRY_OCTETS = 350
"""Octets of an entry in addition to its text. Measured: entries take a tenth less than this
count."""


class CacheLimits(NamedTuple):
    """Limits of the cache: entries and octets of each of its two parts, and times in seconds."""

    entries: int = 50_000
    octets: int = 24_000_000
    keep: float = 3600.0
    keep_changed: float = 600.0
    trust_missing: float = 60.0


class Recalled(NamedTuple):
    """A known answer; `is_doubtful`: it says that a row is missing, and is too old to be
    certain."""

    answer: RowAnswer
    is_doubtful: bool


class _Entry:
    __slots__ = ("answer", "at", "generation", "octets")

    def __init__(self, answer: RowAnswer, at: float, generation: int, octets: int) -> None:
        self.answer = answer
        self.at = at
        self.generation = generation
        self.octets = octets


class StaleCache:
    """The cached answers of one database. `now` is always a monotonic time in seconds."""

    def __init__(self, limits: CacheLimits | None = None) -> None:
        self._limits = limits or CacheLimits()
        self._rows = _Part(self._limits)
        self._missing = _Part(self._limits)

    def __len__(self) -> int:
        return len(self._rows.entries) + len(self._missing.entries)

    @property
    def octets(self) -> int:
        """The approximate memory of the entries."""
        return self._rows.octets + self._missing.octets

    def note(
        self, asks: Sequence[Ask], answers: Sequence[RowAnswer], generation: int, now: float
    ) -> None:
        """Store the answers that the database has just given."""
        for ask, answer in zip(asks, answers, strict=True):
            if ask.table == "login":
                continue
            if is_negative(answer):
                self._missing.put(ask, answer, generation, now)
                self._rows.drop(ask)
            else:
                self._rows.put(ask, answer, generation, now)
                self._missing.drop(ask)

    def recall(self, ask: Ask, generation: int, now: float) -> Recalled | None:
        """Return a known answer, or None if there is none that may be used."""
        limits = self._limits
        entry = self._rows.entries.get(ask)
        is_missing = entry is None
        if entry is None:
            entry = self._missing.entries.get(ask)
        if entry is None:
            return None
        age = now - entry.at
        if age > limits.keep or (generation != entry.generation and age > limits.keep_changed):
            return None
        return Recalled(entry.answer, is_missing and age > limits.trust_missing)


class _Part:
    """One of the two parts of the cache."""

    def __init__(self, limits: CacheLimits) -> None:
        self._limits = limits
        self.entries: OrderedDict[Ask, _Entry] = OrderedDict()
        self.octets = 0

    def put(self, ask: Ask, answer: RowAnswer, generation: int, now: float) -> None:
        entries = self.entries
        entry = entries.get(ask)
        if entry is not None:
            if entry.answer == answer:
                entry.at = now
                entry.generation = generation
                entries.move_to_end(ask)
                return
            self.drop(ask)
        octets = ENTRY_OCTETS + len(ask.key) + (_count(answer) if answer else 0)
        entries[ask] = _Entry(answer, now, generation, octets)
        self.octets += octets
        while self.octets > self._limits.octets or len(entries) > self._limits.entries:
            _, oldest = entries.popitem(last=False)
            self.octets -= oldest.octets

    def drop(self, ask: Ask) -> None:
        entry = self.entries.pop(ask, None)
        if entry is not None:
            self.octets -= entry.octets


def _count(values: Sequence[object]) -> int:
    """Return the approximate octets of a tuple, including the texts and tuples in it."""
    octets = 56 + 8 * len(values)
    for value in values:
        if isinstance(value, str):
            octets += 49 + len(value) * (1 if value.isascii() else 4)
        elif value and isinstance(value, tuple):  # there is only one empty tuple
            octets += _count(value)
    return octets
