"""Traces on a PostgreSQL server, with the driver alone: SQLAlchemy would take 16 MiB."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self, TypeVar

import asyncpg

from accounts.directory.fields import hashed
from accounts.sources.postgres import CHANNEL, connect_arguments
from accounts.sources.postgres_rows import GENERATION
from accounts.store.errors import DatastoreUnavailable
from accounts.store.file import explain
from accounts.store.noted import clean
from accounts.store.revisions import VERSION_TABLE, insist_on_revision
from accounts.store.settings import DatabaseSettings
from accounts.traces.trace import (
    ACTIONS,
    AT_ONCE,
    RESTORED,
    AccountChanges,
    LoginTraces,
    Mark,
    read_changes,
)
from gatepost.errors import StartError
from gatepost.logs import get_logger

T = TypeVar("T")

LOOK: Final = 15.0
"""Seconds between two checks that the connection is alive."""

# as `accounts.store.transaction.IS_REFUSAL`: a refusal is no change
_WHOLE = (
    "SELECT id, at, actor, action, object FROM audit"
    """ WHERE NOT starts_with(details::text, '{"refused"')"""
)
_LAST = f"{_WHOLE} ORDER BY id DESC LIMIT 1"
_CHANGES = f"{_WHOLE} AND id >= $1 AND (id = $1 OR action = ANY($2)) ORDER BY id LIMIT $3"
_REVISION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608
_LOGIN = "UPDATE mailbox SET last_login = $1 WHERE address = $2"
_APP_PASSWORD = "UPDATE app_password SET last_used = $1, last_client = $2 WHERE id = $3"
_HASH = "UPDATE mailbox SET password = $1 WHERE address = $2 AND password = $3 RETURNING address"

log = get_logger("accounts")


class PostgresTraces:
    """Traces in the database of the settings. Use it in one event loop, and `close()` it there.

    There is one connection, which is opened when it is needed.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._where = settings.url  # it has no password
        self._timeout = settings.timeout
        self._secret = settings.password_file
        self._arguments = connect_arguments(settings.url)
        # the same function for each channel, so that a connection never calls it twice
        self._listeners: dict[str, Callable[..., None]] = {CHANNEL: _hearing(self._hear)}
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self._generation = 0
        self._heard = 0
        self._news = asyncio.Event()

    @classmethod
    async def open(cls, settings: DatabaseSettings) -> Self:
        """Open the database; raises `StartError` if its data do not have the revision of this code.

        The server need not answer yet: the methods raise `DatastoreUnavailable` until it does, and
        the revision is checked then.
        """
        traces = cls(settings)
        try:
            await traces._look()
        except DatastoreUnavailable as error:
            if isinstance(error.__cause__, StartError):
                raise error.__cause__ from None
            log.warning("database away", error=str(error))
        return traces

    @property
    def generation(self) -> int:
        """The latest generation that was seen."""
        return self._generation

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            self._news.clear()
            await self._look()
            left = end - time.monotonic()
            if self._generation != after or left <= 0:
                return self._generation
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK)):
                    await self._news.wait()

    async def last_change(self) -> Mark:
        """Return the last change in the audit log."""
        row = await self._run(lambda connection: connection.fetchrow(_LAST))
        return Mark() if row is None else Mark(*row)

    async def changes(self, after: Mark) -> AccountChanges | None:
        """Return the next changes of accounts; None if all data were replaced since then."""
        found = await self._run(
            lambda connection: connection.fetch(
                _CHANGES, after.id, (*ACTIONS, RESTORED), AT_ONCE + 1
            )
        )
        return read_changes(after, [Mark(*row) for row in found])

    async def note(self, traces: LoginTraces) -> list[str]:
        """Write the effects of logins; returns the mailboxes that have a new hash."""
        return await self._run(lambda connection: _note(connection, traces))

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with each notification of a channel, also after the next connections."""
        self._listeners[channel] = hearing = _hearing(heard)
        await self._run(lambda connection: connection.add_listener(channel, hearing))

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification, of less than 8,000 octets, to all processes that listen."""
        await self._run(
            lambda connection: connection.execute("SELECT pg_notify($1, $2)", channel, payload)
        )

    async def close(self) -> None:
        """Close the connection."""
        async with self._turn:
            self._let_go()

    async def _look(self) -> None:
        heard = self._heard
        generation = int(await self._run(lambda connection: connection.fetchval(GENERATION)))
        if heard == self._heard:  # otherwise it may be older than what was heard
            self._generation = generation

    def _hear(self, payload: str) -> None:
        with contextlib.suppress(ValueError):  # anybody with a login may NOTIFY
            self._heard += 1
            self._generation = max(self._generation, int(payload[:20]))
            self._news.set()

    async def _run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` with the connection, which is closed after an error."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await self._connect()
                    return await work(self._connection)
            except TimeoutError as error:
                self._let_go()
                raise DatastoreUnavailable(f"{self._where}: it does not answer") from error
            except (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                OSError,
                StartError,
                ValueError,  # of the password file, or of values that the driver cannot send
            ) as error:
                self._let_go()
                raise DatastoreUnavailable(f"{self._where}: {explain(error)}") from error
            except BaseException:
                self._let_go()
                raise

    async def _connect(self) -> Any:
        milliseconds = str(round(self._timeout * 1000))
        connection = await asyncpg.connect(
            **self._arguments,
            password=None if self._secret is None else self._secret.read_text(),
            timeout=self._timeout,
            server_settings={
                "application_name": "gatepost accounts",
                "statement_timeout": milliseconds,
                "lock_timeout": milliseconds,
                "idle_in_transaction_session_timeout": milliseconds,
            },
        )
        try:
            insist_on_revision(await _read_revision(connection))
            for channel, hearing in self._listeners.items():
                await connection.add_listener(channel, hearing)
            # a lost connection ends the wait
            connection.add_termination_listener(lambda _: self._news.set())
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _hearing(heard: Callable[[str], None]) -> Callable[..., None]:
    """Return a function for the driver, which takes the payload last."""
    return lambda *told: heard(str(told[-1]))


async def _read_revision(connection: Any) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
        return None
    found = await connection.fetchval(_REVISION)
    return None if found is None else str(found)


async def _note(connection: Any, traces: LoginTraces) -> list[str]:
    # each process takes the rows in the same order, so that none waits for another in a circle
    logins = sorted((address, at) for address, at in traces.logins.items())
    used = sorted(
        (row, at, None if client is None else clean(client))
        for row, (at, client) in traces.app_passwords.items()
    )
    upgraded = []
    async with connection.transaction():
        await connection.executemany(_LOGIN, [(at, address) for address, at in logins])
        for address, (before, after) in sorted(traces.hashed.items()):
            new = hashed("password", after)
            if await connection.fetchval(_HASH, new, address, before) is not None:
                upgraded.append(address)
        await connection.executemany(_APP_PASSWORD, [(at, told, row) for row, at, told in used])
    return upgraded
