"""Losses of the right to log in, caused by a command, another process, or time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, select

from accounts.dovecot.rights import ACTIONS, EVERYBODY, lost
from accounts.dovecot.waiting import AGAIN
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable
from accounts.trail import Trail
from gatepost.logs import get_logger

WAIT: Final = 10.0
"""Seconds between two searches for expired app passwords."""
PAUSE: Final = 2.0
"""Seconds before a database that is away is asked again."""
REPLAY: Final = 3600.0
"""Changes of this many seconds before the start are read, too: the previous process may have ended
before it could tell Dovecot."""

log = get_logger("accounts")


class Losses:
    """Watch of the changes. It calls `kick(mask, repeat)` for users who have lost a right.

    `repeat`: the loss is recent, so a login may still be in progress.
    """

    def __init__(
        self,
        database: Database,
        kick: Callable[[str, bool], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._kick = kick
        self._clock = clock
        self._trail = Trail(database, ACTIONS, replay=REPLAY, clock=clock)
        self._expired_at = int(clock() - REPLAY)

    async def run(self) -> None:
        """Follow the changes forever."""
        generation = self._database.generation
        while True:
            try:
                await self.look()
                generation = await self._database.wait_for_change(generation, WAIT)
            except DatastoreUnavailable:
                await asyncio.sleep(PAUSE)
            except Exception:  # a bug must not keep all sessions open
                log.exception("cannot read the losses of rights")
                await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Read the changes since the last look; raises `DatastoreUnavailable`."""
        while True:
            read = await self._trail.read()
            if read.rewound:  # a backup was restored: any right may be lost
                self._kick(EVERYBODY, True)
                continue
            if not read.changes:
                break
            for change in read.changes:
                mask = lost(change.action, change.object, change.details)
                if mask is not None:
                    self._kick(mask, change.at > self._clock() - AGAIN)
        now = int(self._clock())
        before = self._expired_at
        if now > before:
            for address in await self._database.read(lambda c: _expired(c, before, now)):
                self._kick(address, False)
            self._expired_at = now


def _expired(connection: Connection, after: int, until: int) -> list[str]:
    """Return the mailboxes with an app password that expired between two times."""
    statement = (
        select(schema.mailbox.c.address)
        .join_from(schema.app_password, schema.mailbox)
        .where(schema.app_password.c.expires > after, schema.app_password.c.expires <= until)
        .distinct()
    )
    return list(connection.scalars(statement))
