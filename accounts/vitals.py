"""State of the database as look-ups see it, for metrics, probes and the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from accounts.counts import CACHE_ENTRIES, CACHE_OCTETS, DATABASE_UP, GENERATION
from accounts.lookup.ask import Ask, Unavailable
from accounts.sources.cache import StaleCache
from accounts.sources.source import Source
from gatepost.logs import get_logger
from gatepost.metrics import Probes

INTERVAL: Final = 1.0
"""Seconds between two questions to the database."""
_QUESTION: Final = (Ask("domain", "probe.invalid"),)

log = get_logger("accounts")


class AccountsVitals:
    """Watch that asks the database once a second whether it answers.

    `keep`: seconds for which the cache may answer. `tells`: log when the database goes away and
    comes back; the source for PostgreSQL does that itself. `failing` says in one line why the
    service cannot work, `limping` how it works without the database; both return None if all is
    well.
    """

    def __init__(
        self,
        source: Source,
        cache: StaleCache,
        keep: float,
        *,
        tells: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._cache = cache
        self._keep = keep
        self._tells = tells
        self._clock = clock
        self._away_since: float | None = None
        self._reason = "it has not been asked yet"
        self._is_known = False

    def add_probes(self, probes: Probes) -> None:
        """Add the database to `/readyz`."""
        probes.ready_when("database", self.failing)
        probes.remark("database", self.limping)

    def failing(self) -> str | None:
        """Return why nothing can be answered: the database is away and the cache has expired."""
        if not self._is_known:
            return self._reason
        if self._away_since is None:
            return None
        if self._serves_from_cache(self._away_since):
            return None
        return f"away for {self._seconds(self._away_since)} s, nothing is known: {self._reason}"

    def limping(self) -> str | None:
        """Return a remark while answers come from the cache."""
        since = self._away_since
        if since is None or not self._serves_from_cache(since):
            return None
        return (
            f"away for {self._seconds(since)} s; known answers come from the cache, everything "
            f"else is a temporary error: {self._reason}"
        )

    async def run(self) -> None:
        """Ask forever."""
        while True:
            try:
                await self.look()
            except Exception:  # a bug must not stop the service
                log.exception("cannot determine the state of the database")
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Ask the database, and set the metrics."""
        try:
            answers = self._source.ask(_QUESTION)
            if not isinstance(answers, tuple):
                await answers
        except Unavailable as error:
            self._reason = str(error)
            if self._away_since is None:
                self._away_since = self._clock()
                if self._tells:
                    log.warning("database away", error=self._reason)
        else:
            if self._away_since is not None and self._tells:
                log.info("database back", seconds=self._seconds(self._away_since))
            self._away_since = None
        self._is_known = True
        DATABASE_UP.set(0 if self._away_since is not None else 1)
        GENERATION.set(self._source.generation)
        CACHE_ENTRIES.set(len(self._cache))
        CACHE_OCTETS.set(self._cache.octets)

    def _serves_from_cache(self, since: float) -> bool:
        return len(self._cache) > 0 and self._clock() - since < self._keep

    def _seconds(self, since: float) -> int:
        return round(self._clock() - since)
