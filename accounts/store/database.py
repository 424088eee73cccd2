"""Datastore of this process: reads, writes, and the wait for a change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TypeVar, cast

from sqlalchemy import Connection

from accounts.store.errors import DatastoreError, DatastoreUnavailable, RefusalError
from accounts.store.generation import Generation, read_generation
from accounts.store.revisions import check_revision
from accounts.store.settings import DatabaseSettings
from accounts.store.sqlite import SqliteBackend
from accounts.store.transaction import Actor, Write, note_refusal, perform
from accounts.store_names import StoreNames
from gatepost.errors import StartError
from gatepost.logs import get_logger

T = TypeVar("T")

PAUSE = 1.0
"""Seconds before the watch tries a database that is away again."""

log = get_logger("accounts")


class Backend(Protocol):
    """Interface of one kind of database. Its methods raise only `DatastoreError` and what `work`
    raises."""

    def start(self, work: Callable[[Connection], T]) -> T:
        """Read without an event loop, or beside a running one."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` read from one state of the data."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Let `work` write in one transaction, which is rolled back if it raises."""
        ...

    async def watch(self, generation: Generation) -> None:
        """Keep `generation` up to date forever; raises `DatastoreUnavailable`."""
        ...

    async def close(self) -> None:
        """Finish the work in progress and close the database."""
        ...


class Database:
    """Datastore. Use it in one event loop, and `close()` it there.

    `work` takes SQLAlchemy's Connection, or a `Write`. It is called in a thread or in the event
    loop, perhaps more than once, so it must have no other effects than its result and the rows.
    """

    def __init__(self, backend: Backend, clock: Callable[[], float] = time.time) -> None:
        self._backend = backend
        self._clock = clock
        self._generation = Generation(0)
        self._watch: asyncio.Task[None] | None = None
        self._is_checked = False
        self.stores: Callable[[], StoreNames | None] = _no_names
        """Returns the names of the mail stores, for `Write.stores`."""

    @classmethod
    def open(cls, settings: DatabaseSettings, clock: Callable[[], float] = time.time) -> Self:
        """Open the datastore.

        Raises `StartError` if there is none, or if its revision is not that of this code. A
        PostgreSQL server need not answer yet: reads and writes raise `DatastoreUnavailable` until
        it does, and its revision is checked then.
        """
        if settings.path is not None:
            database = cls(SqliteBackend(settings.path, settings.timeout), clock)
        else:
            # imported here, so that only the driver of the configured database is needed
            from accounts.store.postgres import PostgresBackend

            database = cls(PostgresBackend(settings), clock)
        try:
            database._generation.current = database._backend.start(_check)
            database._is_checked = True
        except DatastoreUnavailable as error:
            if settings.path is not None:
                raise StartError(f"cannot open the datastore: {error}") from None
            log.warning("database away", error=str(error))
        return database

    @property
    def generation(self) -> int:
        """The latest generation that this process has seen."""
        return self._generation.current

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` read from one state of the data.

        Raises `DatastoreUnavailable`, and what `work` raises.
        """
        await self._check_once()
        return await self._backend.read(work)

    async def write(self, actor: Actor, work: Callable[[Write], T]) -> T:
        """Let `work` write in one transaction, with its entries in the audit log.

        If this returns, everything is written; if it raises, nothing is. Each transaction that
        changes something raises the generation by one. A refusal is entered in the audit log.
        Raises `DatastoreError`, and what `work` raises.
        """
        await self._check_once()
        now = int(self._clock())
        try:
            result, generation = await self._backend.write(
                lambda connection: perform(connection, actor, now, work, self.stores())
            )
        except RefusalError as error:
            refused = error  # Python deletes the name at the end of this block
            with contextlib.suppress(DatastoreError):
                await self._backend.write(
                    lambda connection: note_refusal(connection, actor, now, refused)
                )
            raise
        if generation is not None:
            self._generation.tell(generation)
        return result

    async def rehearse(self, actor: Actor, work: Callable[[Write], T]) -> T:
        """Return what `write` would return, and undo it. Raises the same errors as `write`."""
        await self._check_once()
        now = int(self._clock())

        def undone(connection: Connection) -> T:
            raise _Undone(perform(connection, actor, now, work, self.stores())[0])

        try:
            return await self._backend.write(undone)
        except _Undone as end:
            return cast(T, end.result)

    async def record(self, work: Callable[[Connection], T]) -> T:
        """Let `work` record a use, such as the time of a login.

        This is not a change of the data: it is not audited, and the generation stays. Raises
        `DatastoreUnavailable`.
        """
        await self._check_once()
        return await self._backend.write(work)

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds.

        Writes of other processes count, too: those to PostgreSQL are seen immediately, those to a
        file within a quarter of a second. While the database is away, no change is seen.
        """
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_watching())
        return await self._generation.wait(after, timeout)

    async def close(self) -> None:
        """Finish the work in progress and close the database."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _check_once(self) -> None:
        """Check the revision of a database that did not answer when it was opened, once."""
        if self._is_checked:
            return
        try:
            self._generation.current = await self._backend.read(_check)
        except StartError as error:
            raise DatastoreUnavailable(str(error)) from None
        self._is_checked = True

    async def _keep_watching(self) -> None:
        is_away = False
        while True:
            try:
                await self._check_once()
                await self._backend.watch(self._generation)
            except DatastoreError as error:
                if not is_away:
                    log.warning("changes not watched", error=str(error))
                is_away = True
            except Exception:  # otherwise changes would go unnoticed
                log.exception("internal error in the watch for changes")
            await asyncio.sleep(PAUSE)


class _Undone(Exception):  # noqa: N818 # not an error but the end of a rehearsal
    """Exception that rolls back the transaction of a rehearsal."""

    def __init__(self, result: object) -> None:
        self.result = result


def _no_names() -> None:
    """Return None: there is one mail store."""


def _check(connection: Connection) -> int:
    check_revision(connection)
    return read_generation(connection)
