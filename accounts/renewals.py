"""Changes of mailboxes, after which earlier wrong passwords no longer count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from accounts.attempts import Attempts
from accounts.store.errors import DatastoreUnavailable
from accounts.traces.trace import Mark, Traces
from gatepost.logs import get_logger

WAIT: Final = 60.0
"""Seconds between looks for changes without a notification."""
PAUSE: Final = 2.0
"""Seconds before a database that is away is asked again."""

log = get_logger("accounts")


class Renewals:
    """Watch that forgets the wrong passwords of an account as soon as any process has changed
    it."""

    def __init__(self, traces: Traces, attempts: Callable[[], Attempts]) -> None:
        self._traces = traces
        self._attempts = attempts
        self._last: Mark | None = None

    async def run(self) -> None:
        """Follow the changes forever."""
        generation = self._traces.generation
        while True:
            try:
                await self.look()
                generation = await self._traces.wait_for_change(generation, WAIT)
            except DatastoreUnavailable:
                await asyncio.sleep(PAUSE)
            except Exception:  # a bug must not stop logins
                log.exception("cannot read the changes of accounts")
                await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Read the changes since the last look; the first look reads none.

        After a restored backup, any account may have another password.
        """
        newest = await self._traces.last_change()
        last = newest if self._last is None else self._last
        while (found := await self._traces.changes(last)) is not None:
            for account in found.accounts:
                self._attempts().forget_account(account)
            self._last = last = found.mark
            if not found.more:
                # what follows are changes of other objects, which need not be read again
                self._last = max(last, newest)
                return
        self._attempts().forget_accounts()
        self._last = newest
