"""The datastore in a file of SQLite: threads, connections and transactions.

SQLite blocks the thread that calls it. One thread writes, a few read; readers and the writer do not
wait for one another (WAL). Other processes may write to the same file.
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
        self._file = OpenedFile(path)
        self._path = path
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
    """Return an engine whose connections never make the file.

    Without `foreign_keys` tables can be dropped and made anew, whatever refers to them.
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
    """Return the engine with transactions in which nobody else writes."""
    return engine.execution_options(gatepost_writes=True)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("gatepost_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
