"""The store in one SQLite file: the default, nothing to set up, kept across restarts.

A thread owns the file, so the event loop never waits for the disk. It takes all updates that wait
as one batch: one transaction, with the decisions in its middle. SQLite works with the interpreter's
lock released.

Journal mode WAL with synchronous=NORMAL: what was committed survives the death of the process; a
power cut may lose the last moments, but never the file.
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
from policyd.stores import Change, Entry, Known, StoreError, StoreStartError, T
from policyd.stores.batch import Done, Job, run
from policyd.stores.sqlite_file import EntryFile, checkpoint, is_writable

MAX_BATCH = 512
"""Updates that are handed over together; a transaction may have a few more."""
CHECKPOINT_INTERVAL = 1.0
"""Seconds between two copies of the WAL into the file. A thread of its own does it, so that no
commit waits for it."""

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

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, Entry]]:
        """As `Store.scan`."""
        at = 0
        while rows := await self._call(lambda: self._file.scan(at)):  # noqa: B023 # awaited here
            for row, key, value, expires in rows:
                at = row
                if key.startswith(prefix) and expires > self._clock():
                    yield key, Entry(value, expires)

    async def sweep(self) -> int:
        """As `Store.sweep`."""
        return int(await self._call(self._sweep))

    async def close(self) -> None:
        """Finish the batch under way, and copy the WAL into the file."""
        self._closing.set()
        self._hand_over(len(self._waiting))
        self._work.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _hand_over(self, seen: int) -> None:
        """Give the thread what waits, once a turn of the event loop has brought nothing more.

        Both threads share the interpreter's lock, so each batch costs a dozen changes between them:
        few large batches while this thread has nothing to do are a quarter cheaper than many small
        ones beside its work. Nobody waits longer for it than others need to ask.
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
            except Exception:  # nothing would be answered any more; the guard tells who waits
                log.exception("a mistake in the thread of the store")
        with contextlib.suppress(sqlite3.Error):
            self._file.truncate_wal()
        self._file.close()

    def _turn(self) -> bool:
        """Do what waits; False when there will be no more."""
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
        except Exception as error:  # the thread has to live, whatever it was
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
        """Open the file anew after an error that may be the connection's or the file's own, and
        when one that could only be read can be written to again."""
        if self._doubtful or (self._file.read_only and is_writable(self._path)):
            self._file.close()
            self._file = EntryFile(self._path, indexed=self._indexed)
            self._doubtful = False
            if self._file.is_new:
                log.error("store made anew: its file was gone or empty", path=str(self._path))

    def _failed(self, error: Exception) -> StoreError:
        try:
            self._file.rollback()
        except sqlite3.Error:
            self._doubtful = True
        # that somebody else is writing, or the disk is full, is no reason to doubt the connection
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
                    pass  # the other thread meets it too, and tells
                except Exception:  # the WAL would grow for ever without this thread
                    log.exception("the WAL of the store could not be copied")


class _Call:
    """Something else for the thread to do."""

    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future


def _code(error: Exception) -> int | None:
    """Return the primary result code of SQLite."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _advice(error: Exception) -> str:
    """Return what an administrator can do about it, where that is not plain."""
    if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            ": it is damaged, or no store; put a copy in its place, or move it away with its -wal "
            "and -shm: then a new one is made, and greylisting begins anew"
        )
    if _code(error) == sqlite3.SQLITE_READONLY:
        return ": its file system is read-only, or it may not be changed; it is still read"
    return ""


def _nothing(known: Known) -> tuple[Known, None]:
    return known, None


def _resolve_all(done: Iterable[Done]) -> None:
    """Hand results to the event loops that wait for them, one wake-up a batch and loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = {}
    for one in done:
        by_loop.setdefault(one.job.future.get_loop(), []).append(one)
    for loop, ones in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(partial(_resolve, ones))


def _resolve(done: Iterable[Done]) -> None:
    for one in done:
        future = one.job.future
        if future.done():  # whoever waited has given up
            continue
        if one.error is None:
            future.set_result(one.result)
        else:
            future.set_exception(one.error)
