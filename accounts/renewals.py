"""Changes of mailboxes, after which earlier wrong passwords no longer count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from accounts.attempts import Attempts
from accounts.store.errors import DatastoreUnavailable
from accounts.traces.trace import AT_ONCE, Traces
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
        self._last: int | None = None

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
        """Read the changes since the last look; the first look reads none."""
        last = self._last
        if last is None:
            self._last = await self._traces.last_change()
            return
        found = await self._traces.changes(last)
        for number, address in found:
            self._attempts().forget_account(address)
            self._last = number
        if len(found) == AT_ONCE:
            await self.look()
