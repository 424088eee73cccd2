"""Losses of the right to log in, whoever caused them: a command, another process, or time."""

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
"""Seconds after which app passwords are looked for that have expired."""
PAUSE: Final = 2.0
"""Seconds after a database that is away was asked."""
REPLAY: Final = 3600.0
"""Seconds before the start whose changes are looked at, too: the process that saw them may have
ended before it could tell Dovecot."""

log = get_logger("accounts")


class Losses:
    """Follows the changes. `kick(mask, repeat)` is called for the users who have lost a right.

    `repeat`: it was a moment ago, so that somebody may still be on the way in.
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
        """Follow them, for ever."""
        generation = self._database.generation
        while True:
            try:
                await self.look()
                generation = await self._database.wait_for_change(generation, WAIT)
            except DatastoreUnavailable:
                await asyncio.sleep(PAUSE)
            except Exception:  # a mistake of ours must not keep all sessions
                log.exception("the losses of rights could not be read")
                await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Read what was changed since the last look; raises `DatastoreUnavailable`."""
        while True:
            read = await self._trail.read()
            if read.rewound:  # a backup was restored: nobody knows what it changed
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
    """Return the mailboxes with an app password that expired after one time, until another."""
    statement = (
        select(schema.mailbox.c.address)
        .join_from(schema.app_password, schema.mailbox)
        .where(schema.app_password.c.expires > after, schema.app_password.c.expires <= until)
        .distinct()
    )
    return list(connection.scalars(statement))
