"""The store in one SQLite file: the default, nothing to set up, kept across restarts.

A thread owns the connection. It takes all updates that wait as one batch: one SELECT, the
decisions, one INSERT, one COMMIT, so the event loop never waits for the disk and a commit is shared
by everything that came in meanwhile. SQLite works with the interpreter's lock released.

Entries are found by a 63-bit keyed hash of their key, which is the row's number: a row is read with
one descent of a shallow tree however many there are. Two keys with one hash would be taken for one
(with a million entries, once in ten trillion), and nobody outside knows the hash key.

Journal mode WAL with synchronous=NORMAL: what was committed survives the death of the process; a
power cut may lose the last moments, but never the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from policyd.stores import Change, Entry, StoreError, StoreStartError, T
from policyd.stores.batch import Done, Job, run

BUSY_TIMEOUT = 0.25
"""Seconds to wait for another process's write; then the update fails and is not answered late."""
MAX_BATCH = 512
"""Updates in one transaction."""
SWEEP_STEP = 1_000
"""Rows one sweep looks at: about a millisecond in the store's own thread."""
CACHE_KIB = 16 * 1024
"""Memory for pages of the file; the operating system keeps the rest."""
CHECKPOINT_INTERVAL = 1.0
"""Seconds between two copies of the WAL into the file. A thread of its own does it, so that no
commit waits for it."""
CHECKPOINT_PAGES = 16_384
"""Pages (4 KiB each) in the WAL at which a commit does it after all, to bound the WAL."""
_FIRST = -(1 << 63)  # the smallest row number
_CHUNKS = (256, 64, 16, 4, 1)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    expires INTEGER NOT NULL
);
"""
SCHEMA_VERSION = 1

_SELECT = {
    n: f"SELECT id, value, expires FROM entry WHERE id IN ({','.join('?' * n)})"  # noqa: S608
    for n in _CHUNKS
}
_UPSERT = {
    n: "INSERT OR REPLACE INTO entry (id, key, value, expires) VALUES (?,?,?,?)"
    + ",(?,?,?,?)" * (n - 1)
    for n in _CHUNKS
}


class SqliteStore:
    """Entries in the file `path`; raises `StoreStartError` when it cannot be opened."""

    name = "sqlite"

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._swept_to = _FIRST
        self._stale = False
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise StoreStartError(f"cannot open the store {path}: {error}") from None
        self._work: queue.SimpleQueue[Job | _Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()
        self._closing = threading.Event()
        self._written = False
        self._checkpointer = threading.Thread(
            target=self._checkpoint, name="checkpoint", daemon=True
        )
        self._checkpointer.start()

    # On the event loop

    def update(self, keys: Sequence[str], change: Change[T]) -> Awaitable[T]:
        """As `Store.update`."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.put(Job(keys, change, future))
        return future

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, Entry]]:
        """As `Store.scan`."""
        at = _FIRST
        while True:
            rows = await self._call(partial(self._scan_step, at))
            for number, key, value, expires in rows:
                at = number + 1
                if key.startswith(prefix) and expires > self._clock():
                    yield key, Entry(value, expires)
            if len(rows) < SWEEP_STEP:
                return

    async def sweep(self) -> int:
        """As `Store.sweep`."""
        return int(await self._call(self._sweep_step))

    async def close(self) -> None:
        """Finish the batch under way, and copy the WAL into the file."""
        self._closing.set()
        self._work.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    async def _call(self, work: Callable[[], Any]) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._work.put(_Call(work, future))
        return await future

    def _join(self) -> None:
        self._checkpointer.join()
        self._thread.join()

    # In the thread

    def _open(self) -> None:
        self._db = _open(self._path)
        self._hash_key = _hash_key(self._db)
        self._inode = self._path.stat().st_ino
        self._stale = False

    def _reopen(self) -> None:
        """Open the file anew after an error that may be the connection's or the file's own."""
        self._db.close()
        self._open()

    def _run(self) -> None:
        work = self._work
        stop = False
        while not stop:
            jobs: list[Job] = []
            calls: list[_Call] = []
            item = work.get()
            while True:
                if item is None:
                    stop = True
                    break
                if isinstance(item, Job):
                    jobs.append(item)
                else:
                    calls.append(item)
                if len(jobs) >= MAX_BATCH or work.empty():
                    break
                item = work.get()
            if jobs:
                self._batch(jobs)
            for call in calls:
                self._answer(call)
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def _batch(self, jobs: Sequence[Job]) -> None:
        try:
            if self._stale:
                self._reopen()
            done = self._transact(jobs)
        except (sqlite3.Error, OSError, StoreStartError) as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            # somebody else writing is no reason to doubt the connection
            self._stale = getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY
            failure = StoreError(f"sqlite: {error}")
            done = [Done(job, None, failure, []) for job in jobs]
        _resolve_all(done)

    def _transact(self, jobs: Sequence[Job]) -> list[Done]:
        number_of = self._number
        keys = {number_of(key): key for job in jobs for key in job.keys}
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        known: dict[str, Entry | None] = {}
        for chunk in _chunks(list(keys)):
            for number, value, expires in execute(_SELECT[len(chunk)], chunk):
                known[keys[number]] = Entry(value, expires)
        done = run(jobs, known, self._clock())
        changed = {write[0] for one in done for write in one.writes}
        if changed:
            self._write({key: known[key] for key in changed})
            self._written = True
        execute("COMMIT")
        return done

    def _write(self, entries: dict[str, Entry | None]) -> None:
        rows: list[tuple[Any, ...]] = []
        for key, entry in entries.items():
            if entry is None:
                self._db.execute("DELETE FROM entry WHERE id = ?", (self._number(key),))
            else:
                rows.append((self._number(key), key, *entry))
        for chunk in _chunks(rows):
            flat = [value for row in chunk for value in row]
            self._db.execute(_UPSERT[len(chunk)], flat)

    def _number(self, key: str) -> int:
        digest = hashlib.blake2b(key.encode(), digest_size=8, key=self._hash_key).digest()
        return int.from_bytes(digest, "big", signed=True)

    def _checkpoint(self) -> None:
        db: sqlite3.Connection | None = None
        while not self._closing.wait(CHECKPOINT_INTERVAL):
            if not self._written:
                continue
            self._written = False
            try:
                if db is None:
                    db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error:  # the store's own thread meets it too, and tells
                if db is not None:
                    db.close()
                db = None
        if db is not None:
            db.close()

    def _answer(self, call: _Call) -> None:
        try:
            result, error = call.work(), None
        except sqlite3.Error as failure:
            result, error = None, StoreError(f"sqlite: {failure}")
        _resolve_all([Done(Job((), _nothing, call.future), result, error, [])])

    def _scan_step(self, at: int) -> list[tuple[int, str, str, int]]:
        return self._db.execute(
            "SELECT id, key, value, expires FROM entry WHERE id >= ? ORDER BY id LIMIT ?",
            (at, SWEEP_STEP),
        ).fetchall()

    def _sweep_step(self) -> int:
        try:
            if self._path.stat().st_ino != self._inode:
                self._stale = True
        except OSError:
            self._stale = True  # the file was removed: the next batch makes a new one
        ids = self._db.execute(
            "SELECT max(id), count(*) FROM "
            "(SELECT id FROM entry WHERE id >= ? ORDER BY id LIMIT ?)",
            (self._swept_to, SWEEP_STEP),
        ).fetchone()
        last, count = ids
        if last is None:
            self._swept_to = _FIRST
            return 0
        removed = self._db.execute(
            "DELETE FROM entry WHERE id BETWEEN ? AND ? AND expires <= ?",
            (self._swept_to, last, int(self._clock())),
        ).rowcount
        self._swept_to = last + 1 if count == SWEEP_STEP else _FIRST
        return removed


class _Call:
    """Something else for the thread to do."""

    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future


def _nothing(known: Any) -> Any:
    return known, None


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Portions of a few fixed sizes, so that SQLite compiles few statements."""
    at = 0
    for size in _CHUNKS:
        while len(items) - at >= size:
            yield items[at : at + size]
            at += size


def _resolve_all(done: Iterable[Done]) -> None:
    """Hand results to the event loops that wait for them, one wake-up a batch and loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Done]] = {}
    for one in done:
        by_loop.setdefault(one.job.future.get_loop(), []).append(one)
    for loop, ones in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(_resolve, ones)


def _resolve(done: Iterable[Done]) -> None:
    for one in done:
        future = one.job.future
        if future.done():  # whoever waited has given up
            continue
        if one.error is None:
            future.set_result(one.result)
        else:
            future.set_exception(one.error)


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreStartError(  # noqa: TRY301
                f"the store {path} was written by a later version of Gatepost (schema {version})"
            )
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        db.close()
        raise
    return db


def _hash_key(db: sqlite3.Connection) -> bytes:
    """The key of the hash, drawn when the file is made."""
    db.execute(
        "INSERT OR IGNORE INTO meta (name, value) VALUES ('hash key', ?)",
        (secrets.token_bytes(16),),
    )
    (key,) = db.execute("SELECT value FROM meta WHERE name = 'hash key'").fetchone()
    return bytes(key)
