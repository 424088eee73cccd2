"""The store in one SQLite file: the default, without setup, kept across restarts.

A thread owns the file, so the event loop never waits for the disk. It takes all waiting updates as
one batch: one transaction that reads, decides and writes. SQLite runs with the interpreter's lock
released.

Journal mode WAL with synchronous=NORMAL: committed changes survive a crash of the process; a power
failure may lose the last moments, but never the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gatepost.logs import get_logger
from gatepost.store_file import is_writable
from policyd.stores import Change, Known, StoreEntry, StoreError, StoreStartError, T
from policyd.stores.batch import Done, Job, run
from policyd.stores.sqlite_file import EntryFile, checkpoint

MAX_BATCH = 512
"""Updates that are passed to the thread together; a transaction may have a few more."""
CHECKPOINT_INTERVAL = 1.0
"""Seconds between two copies of the WAL into the file. A separate thread does it, so that no commit
waits for it."""

log = get_logger("policyd")


class SqliteStore:
    """Entries in the file `path`; raises `StoreStartError` when it cannot be opened.

    `indexed` as `EntryFile` has it.
    """

    name = "sqlite"

    def __init__(
        self, path: Path, *, indexed: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._indexed = indexed
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._doubtful = False
        self._written = False
        try:
            self._file = EntryFile(path, indexed=indexed)
        except (sqlite3.Error, OSError) as error:
            raise StoreStartError(
                f"cannot open the store {path}: {error}{_advice(error)}"
            ) from None
        self._work: queue.SimpleQueue[list[Job] | _Call | None] = queue.SimpleQueue()
        self._waiting: list[Job] = []
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._run, "store"), (self._checkpoint, "checkpoint"))
        ]
        for thread in self._threads:
            thread.start()

    # On the event loop

    def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        """As `Store.update`."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(Job(keys, change, future))
        if len(self._waiting) == 1:
            self._loop.call_soon(self._hand_over, 0)
        return future

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        """As `Store.scan`."""
        at = 0
        while rows := await self._call(lambda: self._file.scan(at)):  # noqa: B023 # awaited here
            for row, key, value, expires in rows:
                at = row
                if key.startswith(prefix) and expires > self._clock():
                    yield key, StoreEntry(value, expires)

    async def sweep(self) -> int:
        """As `Store.sweep`."""
        return int(await self._call(self._sweep))

    async def close(self) -> None:
        """Finish the current batch, and copy the WAL into the file."""
        self._closing.set()
        self._hand_over(len(self._waiting))
        self._work.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _hand_over(self, seen: int) -> None:
        """Pass the waiting updates to the thread once a turn of the event loop has added none.

        Both threads share the interpreter's lock, so each batch costs a dozen switches between
        them: few large batches while this thread is idle are a quarter cheaper than many small ones
        during its work. No update waits longer than the others take to arrive.
        """
        if seen < len(self._waiting) < MAX_BATCH and self._loop is not None:
            self._loop.call_soon(self._hand_over, len(self._waiting))
        elif self._waiting:
            waiting, self._waiting = self._waiting, []
            self._work.put(waiting)

    async def _call(self, work: Callable[[], Any]) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._work.put(_Call(work, future))
        return await future

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    # In the thread of the file

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            try:
                goes_on = self._turn()
            except (
                Exception
            ):  # nothing would be answered any more; the guard notifies the waiting callers
                log.exception("bug in the thread of the store")
        with contextlib.suppress(sqlite3.Error):
            self._file.truncate_wal()
        self._file.close()

    def _turn(self) -> bool:
        """Do the waiting work; False when there will be no more."""
        work = self._work
        goes_on = True
        jobs: list[Job] = []
        calls: list[_Call] = []
        item = work.get()
        while True:
            if item is None:
                goes_on = False
                break
            if isinstance(item, list):
                jobs += item
            else:
                calls.append(item)
            if len(jobs) >= MAX_BATCH or work.empty():
                break
            item = work.get()
        if jobs:
            _resolve_all(self._batch(jobs))
        for call in calls:
            _resolve_all([self._answer(call)])
        return goes_on

    def _batch(self, jobs: Sequence[Job]) -> list[Done]:
        try:
            self._reopen_if_doubtful()
            return self._transact(jobs)
        except Exception as error:  # the thread has to survive any error
            failure = self._failed(error)
            return [Done(job, None, failure, []) for job in jobs]

    def _transact(self, jobs: Sequence[Job]) -> list[Done]:
        file = self._file
        file.begin()
        known = file.read({key for job in jobs for key in job.keys})
        done = run(jobs, known, self._clock())
        changed = {write[0] for one in done for write in one.writes}
        if changed:
            file.write({key: known[key] for key in changed})
            self._written = True
        file.commit()
        return done

    def _answer(self, call: _Call) -> Done:
        job = Job((), _nothing, call.future)
        try:
            self._reopen_if_doubtful()
            return Done(job, call.work(), None, [])
        except Exception as error:  # as above
            return Done(job, None, self._failed(error), [])

    def _sweep(self) -> int:
        if self._file.is_replaced:
            self._doubtful = True
            self._reopen_if_doubtful()
        return self._file.sweep(self._clock())

    def _reopen_if_doubtful(self) -> None:
        """Reopen the file after an error that may come from the connection or the file, and when a
        read-only file becomes writable again."""
        if self._doubtful or (self._file.read_only and is_writable(self._path)):
            self._file.close()
            self._file = EntryFile(self._path, indexed=self._indexed)
            self._doubtful = False
            if self._file.is_new:
                log.error(
                    "store created again: its file was missing or empty", path=str(self._path)
                )

    def _failed(self, error: Exception) -> StoreError:
        try:
            self._file.rollback()
        except sqlite3.Error:
            self._doubtful = True
        # another writer or a full disk is no reason to doubt the connection
        code = _code(error)
        sound = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL)
        if not sound and not (code == sqlite3.SQLITE_READONLY and self._file.read_only):
            self._doubtful = True
        readable = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
        return StoreError(f"sqlite: {self._path}: {error}{_advice(error)}", readable=readable)

    # In the other thread

    def _checkpoint(self) -> None:
        while not self._closing.wait(CHECKPOINT_INTERVAL):
            if self._written:
                self._written = False
                try:
                    checkpoint(self._path)
                except sqlite3.Error:
                    pass  # the other thread meets it too, and reports it
                except Exception:  # the WAL would grow for ever without this thread
                    log.exception("the WAL of the store could not be copied")


class _Call:
    """Another task for the thread."""

    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future


def _code(error: Exception) -> int | None:
    """Return the primary result code of SQLite."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _advice(error: Exception) -> str:
    """Return advice for the administrator if the error is not self-explanatory."""
    if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            ": it is damaged, or not a store; restore a backup, or move it away with its -wal "
            "and -shm files: then a new one is created, and greylisting starts over"
        )
    if _code(error) == sqlite3.SQLITE_READONLY:
        return ": its file system is read-only, or the file is immutable; it is still read"
    return ""


def _nothing(known: Known) -> tuple[Known, None]:
    return known, None


def _resolve_all(done: Iterable[Done]) -> None:
    """Pass results to the waiting event loops, with one wake-up per batch and loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = {}
    for one in done:
        by_loop.setdefault(one.job.future.get_loop(), []).append(one)
    for loop, ones in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(partial(_resolve, ones))


def _resolve(done: Iterable[Done]) -> None:
    for one in done:
        future = one.job.future
        if future.done():  # the caller has given up
            continue
        if one.error is None:
            future.set_result(one.result)
        else:
            future.set_exception(one.error)
