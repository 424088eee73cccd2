"""Upkeep of the journal: old records go, in small steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from accounts.journal.counts import PRUNED
from accounts.journal.journal import MailJournal
from accounts.store.errors import DatastoreError
from gatepost.logs import get_logger

DAY: Final = 86_400.0
FIRST: Final = 60.0
"""Seconds until the first step: at the start of a machine its clock may be wrong."""
INTERVAL: Final = 60.0
BUSY_INTERVAL: Final = 0.5
"""Seconds between two steps while there is more to remove."""
JUMP: Final = 3600.0
"""Seconds by which the clock may move on its own; beyond, nothing is removed for `CALM` seconds."""
CALM: Final = 3600.0
TELL_AGAIN: Final = 600.0
"""Seconds until a continuing failure is logged again."""

log = get_logger("accounts")


class JournalUpkeep:
    """The removal of old records."""

    def __init__(
        self, journal: MailJournal, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._journal = journal
        self._monotonic = monotonic
        self._offset = journal.clock() - monotonic()
        self._calm_from = 0.0
        self._told = -TELL_AGAIN

    async def run(self) -> None:
        """Remove old records forever."""
        pause = FIRST
        while True:
            await asyncio.sleep(pause)
            pause = INTERVAL
            try:
                if await self.step():
                    pause = BUSY_INTERVAL
            except DatastoreError as error:
                if self._monotonic() - self._told >= TELL_AGAIN:
                    self._told = self._monotonic()
                    log.warning("old records of the journal not removed", error=str(error))
            except Exception:  # a bug must not let it grow for ever
                log.exception("internal error in the upkeep of the journal")

    async def step(self) -> int:
        """Remove some old records; return how many."""
        now, elapsed = self._journal.clock(), self._monotonic()
        offset = now - elapsed
        if abs(offset - self._offset) > JUMP:
            log.warning(
                "the clock has jumped: the journal is kept", seconds=round(offset - self._offset)
            )
            self._calm_from = elapsed + CALM
        self._offset = offset
        if elapsed < self._calm_from:
            return 0
        removed = await self._journal.prune(now - self._journal.days * DAY)
        if removed:
            PRUNED.inc(removed)
        return removed
