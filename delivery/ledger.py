"""Ledger of the lessons of one user: a SQLite file beside the data of the spam filter.

The data of SpamAssassin do not say which messages they come from. The ledger does, so that a lesson
is not learned twice, can be taken back, and the proxy knows how much a user has taught.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from delivery.lesson import LessonClass

NAME: Final = "learned.sqlite3"
MAX_LESSONS: Final = 20_000
"""Lessons in a ledger. Beyond them, the oldest of the larger class is dropped: years of wanted mail
must not take away the lessons of spam, without which the data of the user would no longer count."""
MAX_CACHED: Final = 10_000
"""Ledgers whose numbers are kept in memory."""
BUSY: Final = 5.0
"""Seconds to wait for another process that writes."""
BRIEF: Final = 0.05
"""The same where the event loop waits: spamd can write here, and keep the file locked for ever."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS lesson (
    digest BLOB PRIMARY KEY, class TEXT NOT NULL, time REAL NOT NULL, source TEXT NOT NULL
) WITHOUT ROWID
"""


class LedgerError(Exception):
    """The file cannot be read or written; the text says why."""


class LedgerSummary(NamedTuple):
    """The numbers in a ledger; times are seconds since 1970, None without a lesson."""

    spam: int = 0
    ham: int = 0
    first: float | None = None
    last: float | None = None
    sources: tuple[tuple[str, int], ...] = ()

    def suffices(self, least: int) -> bool:
        """Return whether there are enough lessons of both classes."""
        return self.spam >= least and self.ham >= least


class Ledger:
    """The ledger in the folder of a user. Every method raises `LedgerError`.

    `patience`: seconds to wait while somebody else writes.
    """

    def __init__(self, folder: Path, patience: float = BUSY) -> None:
        self.path = folder / NAME
        self._patience = patience

    def find(self, digest: bytes) -> LessonClass | None:
        """Return how a message was learned; None if it was not."""
        if not self.path.exists():
            return None
        with self._opened() as database:
            row = database.execute("SELECT class FROM lesson WHERE digest = ?", (digest,))
            found = row.fetchone()
        return None if found is None else _class_of(found[0])

    def note(self, digest: bytes, lesson: LessonClass, now: float, source: str) -> None:
        """Write that a message was learned; the folder has to exist."""
        with self._opened() as database, database:
            database.execute(_SCHEMA)
            database.execute(
                "INSERT OR REPLACE INTO lesson VALUES (?, ?, ?, ?)",
                (digest, lesson.value, now, source),
            )
            (number,) = database.execute("SELECT count(*) FROM lesson").fetchone()
            if number > MAX_LESSONS:
                database.execute(
                    "DELETE FROM lesson WHERE digest IN (SELECT digest FROM lesson WHERE class = "
                    "(SELECT class FROM lesson GROUP BY class ORDER BY count(*) DESC LIMIT 1) "
                    "ORDER BY time LIMIT ?)",
                    (number - MAX_LESSONS,),
                )

    def drop(self, digest: bytes) -> None:
        """Write that a message was forgotten."""
        if self.path.exists():
            with self._opened() as database, database:
                database.execute("DELETE FROM lesson WHERE digest = ?", (digest,))

    def summary(self) -> LedgerSummary:
        """Return the numbers."""
        if not self.path.exists():
            return LedgerSummary()
        with self._opened() as database:
            counts = dict(database.execute("SELECT class, count(*) FROM lesson GROUP BY class"))
            first, last = database.execute("SELECT min(time), max(time) FROM lesson").fetchone()
            sources = database.execute(
                "SELECT source, count(*) FROM lesson GROUP BY source ORDER BY source"
            ).fetchall()
        return LedgerSummary(
            counts.get(LessonClass.SPAM.value, 0),
            counts.get(LessonClass.HAM.value, 0),
            first,
            last,
            tuple((str(source), int(number)) for source, number in sources),
        )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # spamd can write in this folder: no link of its making is followed
        if any(one.is_symlink() for one in (self.path, self.path.parent, self.path.parent.parent)):
            raise LedgerError(f"{self.path}: a symbolic link is in the way")
        if self.path.exists() and not self.path.is_file():
            raise LedgerError(f"{self.path} is no file")
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=self._patience)) as database:
                yield database
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {error}") from None


class KnownSummaries:
    """Numbers of ledgers in memory; each is read again when its file has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], LedgerSummary]] = {}

    def find(self, folder: Path) -> LedgerSummary | None:
        """Return the numbers of a ledger; None if there is none, or it cannot be read."""
        ledger = Ledger(folder, BRIEF)
        try:
            seen = ledger.path.stat()
        except OSError:
            return None
        stamp = seen.st_mtime_ns, seen.st_size, seen.st_ino
        known = self._known.get(folder)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            summary = ledger.summary()
        except LedgerError:
            return None if known is None else known[1]
        if len(self._known) >= MAX_CACHED:
            del self._known[next(iter(self._known))]
        self._known[folder] = stamp, summary
        return summary


def _class_of(text: object) -> LessonClass | None:
    try:
        return LessonClass(str(text))
    except ValueError:
        return None
