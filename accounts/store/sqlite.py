"""The datastore in a file of SQLite: threads, connections and transactions.

SQLite blocks the thread that calls it. One thread writes, a few read; readers and the writer do not
wait for one another (WAL). Other processes may write to the same file.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from accounts.store.errors import Unavailable
from accounts.store.failures import translate
from accounts.store.generation import Generation, read_generation
from gatepost.errors import StartError
from gatepost.store_file import check_store_file, is_writable

T = TypeVar("T")

READERS = 4
"""Threads that read: one slow list does not hold up the others, which take milliseconds."""
CONNECTIONS = READERS + 2
"""Connections that are kept: one of each reader, of the writer, and of the start."""
POLL = 0.25
"""Seconds between two looks whether another process has written."""


class SqliteBackend:
    """The file `path`, which is there; raises `StartError` where it cannot be used.

    `timeout`: seconds to wait while another process writes.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        check_file(path)
        self._path = path
        self._inode = path.stat().st_ino
        self._engine = make_engine(path, timeout)
        self._writer = ThreadPoolExecutor(1, "accounts-write")
        self._readers = ThreadPoolExecutor(READERS, "accounts-read")

    def start(self, work: Callable[[Connection], T]) -> T:
        """Read, before there is an event loop or in spite of it; raises `Unavailable`."""
        try:
            return self._read(work)
        except SQLAlchemyError as error:
            raise translate(error, str(self._path)) from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` read from one state of the data; what it writes is forgotten."""
        return await self._run(self._readers, self._read, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Let `work` write in one transaction.

        It comes to its end also when whoever waits for it has given up.
        """
        return await self._run(self._writer, self._write, work)

    async def watch(self, generation: Generation) -> None:
        """Look for the writes of other processes, for ever; raises `Unavailable`."""
        while True:
            async with generation.being_read() as seen:
                seen(await self.read(read_generation))
            await asyncio.sleep(POLL)

    async def close(self) -> None:
        """Finish what is under way and let go of the file."""
        await asyncio.to_thread(self._close)

    async def _run(
        self,
        threads: ThreadPoolExecutor,
        run: Callable[[Callable[[Connection], T]], T],
        work: Callable[[Connection], T],
    ) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, run, work)
        except SQLAlchemyError as error:
            raise translate(error, str(self._path)) from error

    def _read(self, work: Callable[[Connection], T]) -> T:
        self._insist_on_path()
        with self._engine.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        self._insist_on_path()
        with to_write(self._engine).begin() as connection:
            return work(connection)

    def _insist_on_path(self) -> None:
        """Raise `Unavailable` when the path leads to another file by now, or to none.

        What was written to the file that is open would be lost. To open the other one is no way
        out: SQLite knows a WAL by its name alone, and would take that of the old file for its own.
        """
        try:
            inode = self._path.stat().st_ino
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from None
        if inode != self._inode:
            raise Unavailable(
                f"{self._path}: another file was put in its place: stop the service, remove the "
                "files with -wal and -shm, and start it again"
            )

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


def make_engine(path: Path, timeout: float, *, foreign_keys: bool = True) -> Engine:
    """Return an engine whose connections never make the file.

    Without `foreign_keys` tables can be dropped and made anew, whatever refers to them.
    """

    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            timeout=timeout,
            isolation_level=None,  # we say BEGIN ourselves
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",  # an answer "done" holds after a power cut
                f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
                "trusted_schema = OFF",
            ):
                db.execute(f"PRAGMA {pragma}")
        except BaseException:
            db.close()
            raise
        return db

    # the default for this URL closes connections that other threads use, beyond five
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=CONNECTIONS)
    event.listen(engine, "begin", _begin)
    return engine


def to_write(engine: Engine) -> Engine:
    """Return the engine with transactions in which nobody else writes."""
    return engine.execution_options(gatepost_writes=True)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("gatepost_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def check_file(path: Path) -> None:
    """Raise `StartError` unless the file is there, and this user alone can read and write it."""
    try:
        check_store_file(path)
        status = path.stat()
    except FileNotFoundError:
        raise StartError(
            f"there is no datastore {path}: `gatepost accounts migrate` makes one"
        ) from None
    except OSError as error:
        raise StartError(f"cannot open the datastore {path}: {error.strerror}") from None
    if status.st_mode & stat.S_IRWXO:
        raise StartError(
            f"the datastore {path} is open to everybody (mode {stat.S_IMODE(status.st_mode):04o}): "
            f"chmod o-rwx {path}"
        )
    if not is_writable(path) or not os.access(path.parent, os.W_OK | os.X_OK):
        raise StartError(
            f"the datastore {path} belongs to uid {status.st_uid}, and uid {os.geteuid()} may not "
            "write to it"
        )
