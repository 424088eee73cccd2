"""Changes of mailboxes, after which the wrong passwords of before do not count any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, func, select

from accounts.attempts import Attempts
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.errors import Unavailable
from gatepost.logs import get_logger

WAIT: Final = 60.0
"""Seconds after which a change is looked for that nobody was told of."""
PAUSE: Final = 2.0
"""Seconds after a database that is away was asked."""
AT_ONCE: Final = 1000
"""Entries of the audit log that are read at once."""
ACTIONS: Final = ("mailbox.add", "mailbox.change", "mailbox.rename", "app-password.add")
"""Actions after which a password may be right that was wrong."""

log = get_logger("accounts")


class Renewals:
    """Forgets wrong passwords of an account as soon as any process has changed it."""

    def __init__(self, database: Database, attempts: Callable[[], Attempts]) -> None:
        self._database = database
        self._attempts = attempts
        self._last: int | None = None

    async def run(self) -> None:
        """Follow the changes, for ever."""
        generation = self._database.generation
        while True:
            try:
                await self.look()
                generation = await self._database.wait_for_change(generation, WAIT)
            except Unavailable:
                await asyncio.sleep(PAUSE)
            except Exception:  # a mistake of ours must not stop logins
                log.exception("the changes of accounts could not be read")
                await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Read what was changed since the last look, and nothing at the first."""
        last = self._last
        if last is None:
            self._last = await self._database.read(_last_entry)
            return
        found = await self._database.read(lambda connection: _changed(connection, last))
        for number, address in found:
            self._attempts().forget_account(address)
            self._last = number
        if len(found) == AT_ONCE:
            await self.look()


def _last_entry(connection: Connection) -> int:
    return int(connection.execute(select(func.max(schema.audit.c.id))).scalar() or 0)


def _changed(connection: Connection, after: int) -> list[tuple[int, str]]:
    statement = (
        select(schema.audit.c.id, schema.audit.c.object)
        .where(schema.audit.c.id > after, schema.audit.c.action.in_(ACTIONS))
        .order_by(schema.audit.c.id)
        .limit(AT_ONCE)
    )
    return [(row.id, row.object) for row in connection.execute(statement)]
