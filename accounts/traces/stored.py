"""Traces through the datastore."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from accounts.directory import app_passwords, mailboxes
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.transaction import IS_REFUSAL
from accounts.traces.trace import ACTIONS, AT_ONCE, LoginTraces


class StoredTraces:
    """Traces in a `Database`, which is closed with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def generation(self) -> int:
        """The latest generation that was seen."""
        return self._database.generation

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds."""
        return await self._database.wait_for_change(after, timeout)

    async def last_change(self) -> int:
        """Return the number of the last change in the audit log."""
        return await self._database.read(_last_entry)

    async def changes(self, after: int) -> list[tuple[int, str]]:
        """Return the numbers and the accounts of the changes after one."""
        return await self._database.read(lambda connection: _changed(connection, after))

    async def note(self, traces: LoginTraces) -> list[str]:
        """Write the effects of logins; returns the mailboxes that have a new hash."""

        def write(connection: Connection) -> list[str]:
            for address, at in traces.logins.items():
                mailboxes.note_login(connection, address, at)
            for row, (at, client) in traces.app_passwords.items():
                app_passwords.note_use(connection, row, at, client)
            return [
                address
                for address, (before, after) in traces.hashed.items()
                if mailboxes.upgrade_password(connection, address, before, after)
            ]

        return await self._database.record(write)

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()


def _last_entry(connection: Connection) -> int:
    last = select(func.max(schema.audit.c.id)).where(~IS_REFUSAL)
    return int(connection.execute(last).scalar() or 0)


def _changed(connection: Connection, after: int) -> list[tuple[int, str]]:
    statement = (
        select(schema.audit.c.id, schema.audit.c.object)
        .where(schema.audit.c.id > after, schema.audit.c.action.in_(ACTIONS), ~IS_REFUSAL)
        .order_by(schema.audit.c.id)
        .limit(AT_ONCE)
    )
    return [(row.id, row.object) for row in connection.execute(statement)]
