"""A datastore as tests use it: one event loop, a clock that stands, and calls that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import Connection, Table, func, select

from accounts.directory import aliases, domains, mailboxes
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from tests.unit import clock

T = TypeVar("T")

NOW = 1_900_000_000
ME = Actor("admin@example.org", "192.0.2.1")
HASH = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
OTHER_HASH = "{SSHA}c2FsdHNhbHRzYWx0"


class Desk:
    """A datastore that is open."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.clock = clock.Clock(float(NOW))
        self._runner = asyncio.Runner()
        self.database = Database.open(settings, self.clock)

    def close(self) -> None:
        self.run(self.database.close())
        self._runner.close()

    def run(self, awaited: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaited

        return self._runner.run(wait())

    def write(self, work: Callable[[Write], T], actor: Actor = ME) -> T:
        return self.run(self.database.write(actor, work))

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.run(self.database.read(work))

    def count(self, table: Table) -> int:
        statement = select(func.count()).select_from(table)
        return self.read(lambda connection: int(connection.execute(statement).scalar_one()))

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table, in one read."""
        tables = schema.metadata.sorted_tables

        def rows(connection: Connection) -> dict[str, int]:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in tables
            }

        return self.read(rows)

    # what many tests begin with

    def domain(self, name: str = "example.org", **values: object) -> domains.Domain:
        return self.write(lambda write: domains.add(write, name, **values))  # type: ignore[arg-type]

    def mailbox(self, address: str = "anna@example.org", **values: object) -> mailboxes.Mailbox:
        return self.write(lambda write: mailboxes.add(write, address, **values))  # type: ignore[arg-type]

    def alias(self, address: str, *targets: str, **values: object) -> aliases.Alias:
        return self.write(
            lambda write: aliases.add(write, address, targets=targets, **values)  # type: ignore[arg-type]
        )
