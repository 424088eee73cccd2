"""Journal in its file, or in a table of PostgreSQL, for any number of processes.

It is opened at the first use. A file that was removed is made anew, and a damaged one is put aside:
nothing but the answers of `gatepost trace` depends on it.
"""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection

from accounts.journal import question, table
from accounts.journal.counts import STORED
from accounts.journal.found import FoundStories, page_of
from accounts.journal.mail_counts import MailCounts
from accounts.journal.question import JournalQuestion
from accounts.journal.row import base_of, rows_of
from accounts.journal.settings import JournalSettings
from accounts.journal.story import tell
from accounts.journal.table import JournalView
from accounts.journal.tally import MailOutcome, tally
from accounts.store.database import Backend
from accounts.store.errors import DatastoreError, DatastoreUnavailable
from accounts.store.settings import DatabaseSettings
from accounts.store.sqlite import SqliteBackend
from gatepost.errors import StartError
from gatepost.journal.record import JournalRecord
from gatepost.logs import get_logger
from gatepost.store_file import make_store_file

T = TypeVar("T")

MIN_FREE: Final = 128 << 20
"""Octets that stay free on the disk of the file: the datastore may be there, too."""
CONNECTIONS: Final = 2
"""Connections to PostgreSQL."""
FILE_MODE: Final = 0o640
_ROUNDS: Final = 4
"""Questions for one page at most."""

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

log = get_logger("accounts")


class MailJournal:
    """The journal. Use it in one event loop, and `close()` it there.

    `settings` and `delimiter` return what is in use now. All methods raise `DatastoreUnavailable`
    if the database does not answer or the disk is full.
    """

    def __init__(
        self,
        settings: Callable[[], JournalSettings],
        database: DatabaseSettings,
        delimiter: Callable[[], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._database = database
        self._delimiter = delimiter
        self._path = settings().path(database.path)
        self.clock = clock
        self._opened: Backend | None = None
        self._opening = asyncio.Lock()
        self._later: set[asyncio.Task[None]] = set()
        self.counts = MailCounts(self.tally)
        """The mail of the last days by outcome."""

    @property
    def days(self) -> int:
        """The days for which records are kept; 0 if there is no journal."""
        return self._settings().days

    @property
    def max_records(self) -> int:
        """The number of records that are kept."""
        return self._settings().max_records

    async def add(self, records: Sequence[JournalRecord]) -> None:
        """Write records."""
        if not records:
            return
        now, delimiter = self.clock(), self._delimiter()
        if self._path is not None:
            _insist_on_space(self._path)

        def work(connection: Connection) -> int:
            # each record has up to a hundred recipients: the rows are made as they are written
            rows = (row for record in records for row in rows_of(record, delimiter, now))
            return table.append(connection, rows)

        STORED.inc(await self._write(work))

    async def search(self, wanted: JournalQuestion) -> FoundStories:
        """Return the stories of the mail that matches, the latest first."""
        delimiter = self._delimiter()
        for _ in range(_ROUNDS):
            found = await self._read(partial(question.ask, question=wanted, delimiter=delimiter))
            if found is None:
                return FoundStories([], None)
            # up to two thousand rows: some ten milliseconds
            chosen, following = page_of(found, wanted.limit)
            if chosen or following is None:
                break
            # all of these rows are about mail on earlier pages
            wanted = wanted._replace(after=following)
        return FoundStories([tell(journey) for journey in chosen], following)

    async def tally(self, view: JournalView, since: float, until: float) -> dict[MailOutcome, int]:
        """Return how many recipients that a view shows had which outcome in [since, until)."""
        found = await self._read(lambda connection: tally(connection, view, since, until))
        return dict.fromkeys(MailOutcome, 0) if found is None else found

    @property
    def files(self) -> dict[str, Path]:
        """The files of the datastore and of the journal by name; none if they are in PostgreSQL."""
        named = {"datastore": self._database.path, "journal": self._path}
        return {name: path for name, path in named.items() if path is not None}

    async def erase(self, address: str) -> int:
        """Remove all records about an address; return their number.

        A damaged file goes as a whole: nobody knows what is in it.
        """
        base = base_of(address, self._delimiter())
        await self._drop_damaged(math.inf)
        if self._path is not None and not self._path.exists():
            return 0
        return await self._write(lambda connection: table.erase(connection, base))

    def erase_soon(self, address: str) -> None:
        """Remove all records about an address; `settle()` waits for it."""

        async def work() -> None:
            try:
                count = await self.erase(address)
            except DatastoreError as error:
                log.error("an address is still in the journal", error=str(error))  # noqa: TRY400
            else:
                log.info("address erased from the journal", records=count)

        task = asyncio.get_running_loop().create_task(work())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settle(self) -> None:
        """Wait for the work in progress."""
        await asyncio.gather(*self._later)

    async def prune(self, before: float) -> int:
        """Remove some of the records that are older, or too many; return how many.

        A damaged file goes when its latest record is older.
        """
        await self._drop_damaged(before)
        if self._path is not None and not self._path.exists():
            return 0
        keep = self.max_records
        return await self._write(lambda connection: table.prune(connection, before, keep))

    async def close(self) -> None:
        """Finish the work in progress and close the database."""
        await self.settle()
        await self._let_go()

    async def _read(self, work: Callable[[Connection], T]) -> T | None:
        """Read; return None where nothing was ever written."""
        if self._path is not None and not self._path.exists():
            return None
        for is_last in (False, True):
            try:
                return await (await self._backend()).read(work)
            except DatastoreUnavailable as error:
                await self._failed(error, is_last=is_last)
        raise AssertionError("unreachable")

    async def _write(self, work: Callable[[Connection], T]) -> T:
        for is_last in (False, True):
            try:
                return await (await self._backend()).write(work)
            except DatastoreUnavailable as error:
                await self._failed(error, is_last=is_last)
        raise AssertionError("unreachable")

    async def _failed(self, error: DatastoreUnavailable, *, is_last: bool) -> None:
        """Close the database; raise the error if a file cannot be opened anew."""
        await self._let_go()
        if self._path is None or is_last:
            raise error
        if _is_damaged(error):
            # another process may have made a new file already
            if not self._is_same_file():
                return
            aside = _aside(self._path)
            log.error("the journal is damaged and put aside", file=str(aside))
            with suppress(OSError):
                self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                with suppress(OSError):
                    Path(f"{self._path}{suffix}").unlink()
        elif self._path.exists() and self._is_same_file():
            raise error

    def _is_same_file(self) -> bool:
        """Return whether the file is the one that was open: then it would fail again."""
        return self._inode == _inode(self._path)

    _inode: int | None = None

    async def _backend(self) -> Backend:
        async with self._opening:
            if self._opened is None:
                backend = await self._open()
                try:
                    await backend.write(table.create)
                except BaseException:
                    await backend.close()
                    raise
                self._opened = backend
            return self._opened

    async def _open(self) -> Backend:
        if self._path is None:
            # imported here, so that only the driver of the configured database is needed
            from accounts.store.postgres import PostgresBackend

            return PostgresBackend(self._database.model_copy(update={"connections": CONNECTIONS}))
        path = self._path
        try:
            await asyncio.to_thread(make_store_file, path, FILE_MODE)
            self._inode = _inode(path)
            backend = await asyncio.to_thread(SqliteBackend, path, self._database.timeout)
        except StartError as error:
            raise DatastoreUnavailable(str(error)) from None
        except OSError as error:
            raise DatastoreUnavailable(f"{path}: {error.strerror or error}") from None
        return backend

    async def _drop_damaged(self, before: float) -> None:
        """Remove the damaged file if it was last written before a time."""
        if self._path is not None:
            await asyncio.to_thread(_remove_old, _aside(self._path), before)

    async def _let_go(self) -> None:
        backend, self._opened = self._opened, None
        if backend is not None:
            await backend.close()


def _aside(path: Path) -> Path:
    """Return where a damaged file is put."""
    return path.with_name(path.name + ".damaged")


def _remove_old(path: Path, before: float) -> None:
    """Remove a file that was last written before a time, if it is there."""
    try:
        if path.stat().st_mtime < before:
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("a damaged journal is not removed", file=str(path), error=str(error))


def _inode(path: Path | None) -> int | None:
    try:
        return None if path is None else path.stat().st_ino
    except OSError:
        return None


def _insist_on_space(path: Path) -> None:
    """Raise `DatastoreUnavailable` if the disk is nearly full."""
    try:
        there = os.statvfs(path.parent)
    except OSError as error:
        raise DatastoreUnavailable(f"{path.parent}: {error.strerror}") from None
    if there.f_bavail * there.f_frsize < MIN_FREE:
        raise DatastoreUnavailable(f"{path.parent}: less than {MIN_FREE >> 20} MiB are free")


def _is_damaged(error: BaseException | None) -> bool:
    for _ in range(5):
        if error is None:
            return False
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int) and code & 0xFF in _DAMAGED:
            return True
        error = getattr(error, "orig", None) or error.__cause__
    return False
