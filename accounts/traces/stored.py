"""Traces through the datastore."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

from accounts.directory import app_passwords, mailboxes
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.transaction import IS_REFUSAL
from accounts.traces.trace import (
    ACTIONS,
    AT_ONCE,
    RESTORED,
    AccountChanges,
    LoginTraces,
    Mark,
    read_changes,
)

_AUDIT = schema.audit
_WHOLE = select(_AUDIT.c.id, _AUDIT.c.at, _AUDIT.c.actor, _AUDIT.c.action, _AUDIT.c.object).where(
    ~IS_REFUSAL
)


class StoredTraces:
    """Traces in a `Database`, which its owner closes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def generation(self) -> int:
        """The latest generation that was seen."""
        return self._database.generation

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds."""
        return await self._database.wait_for_change(after, timeout)

    async def last_change(self) -> Mark:
        """Return the last change in the audit log."""
        return await self._database.read(_read_last)

    async def changes(self, after: Mark) -> AccountChanges | None:
        """Return the next changes of accounts; None if all data were replaced since then."""
        found = await self._database.read(lambda connection: _read_since(connection, after.id))
        return read_changes(after, found)

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
        """Do nothing."""


def _read_last(connection: Connection) -> Mark:
    row = connection.execute(_WHOLE.order_by(_AUDIT.c.id.desc()).limit(1)).one_or_none()
    return Mark() if row is None else Mark(*row)


def _read_since(connection: Connection, number: int) -> list[Mark]:
    statement = (
        _WHOLE.where(_AUDIT.c.id >= number)
        .where(or_(_AUDIT.c.id == number, _AUDIT.c.action.in_((*ACTIONS, RESTORED))))
        .order_by(_AUDIT.c.id)
        .limit(AT_ONCE + 1)
    )
    return [Mark(*row) for row in connection.execute(statement)]
