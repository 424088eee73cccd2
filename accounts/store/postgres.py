"""Datastore in PostgreSQL, for several processes that act as one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from accounts.store import schema
from accounts.store.errors import DatastoreUnavailable
from accounts.store.failures import may_try_again, translate
from accounts.store.generation import Generation, read_generation
from accounts.store.settings import DatabaseSettings

T = TypeVar("T")

TRIES = 5
"""Attempts at a transaction that fails because of concurrent ones."""
LOOK = 15.0
"""Seconds between two checks that the connection for notifications is alive."""
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"

# it logs that an abandoned connection cannot be closed; our own log gives the reason
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)

_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)
"""All that an attempt to reach a server can raise; ValueError comes from the password file."""


class PostgresBackend:
    """The database of the settings. It need not answer yet."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._where = where(settings)
        self._engine = make_engine(settings)

    def start(self, work: Callable[[Connection], T]) -> T:
        """Read without an event loop, or beside a running one; raises `DatastoreUnavailable`."""
        return alone(self._settings, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` read from one state of the data; it cannot write."""

        def from_one_state(connection: Connection) -> T:
            connection.exec_driver_sql(_SNAPSHOT)
            return work(connection)

        with translated(self._where):
            async with self._engine.connect() as connection:
                return await connection.run_sync(from_one_state)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Let `work` write in one transaction; a repeated call starts from an empty transaction."""
        with translated(self._where):
            for left in reversed(range(TRIES)):
                try:
                    async with self._engine.begin() as connection:
                        return await connection.run_sync(work)
                except SQLAlchemyError as error:
                    if not left or not may_try_again(error):
                        raise
        raise AssertionError("unreachable")

    async def watch(self, generation: Generation) -> None:
        """Listen for the writes of all processes forever; raises `DatastoreUnavailable`."""
        with translated(self._where):
            async with self._listening() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None  # noqa: S101 # it was just opened
                ended = asyncio.Event()
                raw.add_termination_listener(lambda _: ended.set())
                await raw.add_listener(schema.CHANNEL, lambda *told: _tell(generation, told[-1]))
                while not ended.is_set():
                    async with generation.being_read() as seen:
                        seen(await connection.run_sync(read_generation))
                        await connection.rollback()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(ended.wait(), LOOK)
        raise DatastoreUnavailable(f"{self._where}: the connection was closed")

    async def close(self) -> None:
        """Close all connections."""
        with contextlib.suppress(*_ERRORS, TimeoutError):
            await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection outside the pool."""
        engine = make_engine(self._settings, pooled=False)
        try:
            async with engine.connect() as connection:
                yield connection
        finally:
            await engine.dispose()


def _tell(generation: Generation, payload: object) -> None:
    with contextlib.suppress(ValueError):  # anybody with a login may NOTIFY
        generation.tell(int(str(payload)[:20]))


def make_engine(settings: DatabaseSettings, *, pooled: bool = True) -> AsyncEngine:
    """Return an engine, which connects when it is used."""
    milliseconds = str(round(settings.timeout * 1000))
    options: dict[str, Any] = {
        "connect_args": {
            "timeout": settings.timeout,
            "command_timeout": settings.timeout,
            "server_settings": {
                "application_name": "gatepost accounts",
                "statement_timeout": milliseconds,
                "lock_timeout": milliseconds,
                # a process that hangs in a transaction would block the writes of all others
                "idle_in_transaction_session_timeout": milliseconds,
            },
        }
    }
    if pooled:
        options |= {
            "pool_size": settings.connections,
            "max_overflow": 0,
            "pool_timeout": settings.timeout,
            "pool_pre_ping": True,
        }
    else:
        options["poolclass"] = NullPool
    engine = create_async_engine(settings.parsed.set(drivername="postgresql+asyncpg"), **options)

    def give_password(_dialect: Any, _record: Any, _positional: Any, named: dict[str, Any]) -> None:
        if settings.password_file is not None:
            named["password"] = settings.password_file.read_text()

    event.listen(engine.sync_engine, "do_connect", give_password)
    return engine


def alone(settings: DatabaseSettings, work: Callable[[Connection], T]) -> T:
    """Run `work` in a transaction with its own connection and event loop.

    It runs in another thread, because this one may have a running event loop; this thread waits.
    Raises `DatastoreUnavailable`.
    """

    async def run() -> T:
        engine = make_engine(settings, pooled=False)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1) as thread, translated(where(settings)):
        return thread.submit(lambda: asyncio.run(run())).result()


def where(settings: DatabaseSettings) -> str:
    """Return the name of the database, for messages."""
    return settings.parsed.render_as_string(hide_password=True)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Translate errors of the database to those of the datastore."""
    try:
        yield
    except (*_ERRORS, TimeoutError) as error:
        raise translate(error, where) from error
