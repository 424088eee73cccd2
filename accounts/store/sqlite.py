"""Datastore in a file of SQLite: threads, connections and transactions.

SQLite blocks the thread that calls it. One thread writes, and a few read; readers and the writer do
not wait for each other (WAL). Other processes may write to the same file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from accounts.store.failures import translate
from accounts.store.file import OpenedFile, connect
from accounts.store.generation import Generation, read_generation

T = TypeVar("T")

READERS = 4
"""Threads that read: one slow list does not delay the other requests, which take milliseconds."""
CONNECTIONS = READERS + 2
"""Connections that are kept: one for each reader, for the writer, and for the start."""
POLL = 0.25
"""Seconds between two checks whether another process has written."""


class SqliteBackend:
    """Datastore in the existing file `path`; raises `StartError` if it cannot be used.

    `timeout`: seconds to wait while another process writes.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._file = OpenedFile(path)
        self._path = path
        self._engine = make_engine(path, timeout)
        self._writer = ThreadPoolExecutor(1, "accounts-write")
        self._readers = ThreadPoolExecutor(READERS, "accounts-read")

    def start(self, work: Callable[[Connection], T]) -> T:
        """Read without an event loop, or beside a running one; raises `DatastoreUnavailable`."""
        try:
            return self._read(work)
        except SQLAlchemyError as error:
            raise translate(error, str(self._path)) from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` read from one state of the data; its writes are rolled back."""
        return await self._run(self._readers, self._read, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Let `work` write in one transaction.

        It finishes even if its caller is cancelled.
        """
        return await self._run(self._writer, self._write, work)

    async def watch(self, generation: Generation) -> None:
        """Watch for the writes of other processes forever; raises `DatastoreUnavailable`."""
        while True:
            async with generation.being_read() as seen:
                seen(await self.read(read_generation))
            await asyncio.sleep(POLL)

    async def close(self) -> None:
        """Finish the work in progress and close the file."""
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
        self._file.insist()
        with self._engine.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        self._file.insist()
        with to_write(self._engine).begin() as connection:
            return work(connection)

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


def make_engine(path: Path, timeout: float, *, foreign_keys: bool = True) -> Engine:
    """Return an engine whose connections never create the file.

    Without `foreign_keys`, tables can be dropped and created again while others refer to them.
    """

    def open_file() -> sqlite3.Connection:
        # the pool hands a connection to one thread at a time
        return connect(path, timeout, foreign_keys=foreign_keys)

    # the default for this URL closes connections that other threads use, beyond five
    engine = create_engine(
        "sqlite://", creator=open_file, poolclass=QueuePool, pool_size=CONNECTIONS
    )
    event.listen(engine, "begin", _begin)
    return engine


def to_write(engine: Engine) -> Engine:
    """Return the engine with transactions that hold the write lock."""
    return engine.execution_options(gatepost_writes=True)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("gatepost_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
