"""What is known of the records of our keys, kept up to date while the milter runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from gatepost.metrics import Gauge
from milters.keys.names import record_name
from milters.keys.publication import Publication, Seen, Standing, stand
from milters.keys.stored import StoredKey

MAX_QUESTIONS = 16
"""Questions about keys that are under way at a time."""

KEYS = Gauge(
    "gatepost_milters_keys",
    "Active signing keys by what became of them: `signing`, `unpublished` (the record is missing "
    "or does not fit), `unknown` (DNS has not answered yet)",
    ["state"],
    across="max",
)

Look: TypeAlias = Callable[[StoredKey], Publication]
_Identity: TypeAlias = tuple[str, str, bytes]


class Records:
    """The standing of each key, and when it is looked at again. Safe for threads.

    It outlives reloads: a key that was seen stays seen while DNS does not answer.
    """

    def __init__(
        self, log: FilteringBoundLogger, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._monotonic = monotonic
        self._standings: dict[_Identity, Standing] = {}
        self._due: dict[_Identity, float] = {}
        self._lock = threading.Lock()

    def may_sign(self, key: StoredKey) -> bool:
        """Whether the key signs, as far as its record is concerned."""
        standing = self._standings.get(key.identity)
        return standing is not None and standing.may_sign

    def due(self, keys: Iterable[StoredKey]) -> list[StoredKey]:
        """Those of `keys` whose time to be looked at has come; new ones are always due."""
        now = self._monotonic()
        return [key for key in keys if self._due.get(key.identity, now) <= now]

    def seconds_to_next(self, keys: Iterable[StoredKey], at_most: float) -> float:
        """How long no key is due, between 1 and `at_most`."""
        now = self._monotonic()
        next_due = min((self._due.get(key.identity, now) for key in keys), default=now + at_most)
        return min(max(next_due - now, 1.0), at_most)

    def look_at(self, keys: Iterable[StoredKey], look: Look, interval: float) -> None:
        """Compare `keys` with DNS, several at a time, and remember what becomes of them.

        `interval` is in seconds: when those that are as they should be are looked at again.
        """
        with ThreadPoolExecutor(MAX_QUESTIONS) as pool:
            looked = [(key, pool.submit(look, key)) for key in keys]
            for key, found in looked:
                self._take(key, found.result(), interval)

    def forget_all_but(self, keys: Iterable[StoredKey]) -> None:
        """Drop what is known of keys that are no longer there."""
        identities = {key.identity for key in keys}
        with self._lock:
            for identity in self._standings.keys() - identities:
                del self._standings[identity]
                self._due.pop(identity, None)

    def count(self, keys: Iterable[StoredKey], signing: Callable[[StoredKey], bool]) -> None:
        """Show in the metrics how many of `keys` are in which state."""
        counts = {"signing": 0, "unpublished": 0, "unknown": 0}
        for key in keys:
            standing = self._standings.get(key.identity)
            if signing(key):
                counts["signing"] += 1
            elif standing is None or standing.seen is Seen.UNKNOWN:
                counts["unknown"] += 1
            else:
                counts["unpublished"] += 1
        for state, count in counts.items():
            KEYS.labels(state).set(count)

    def _take(self, key: StoredKey, found: Publication, interval: float) -> None:
        identity = key.identity
        with self._lock:
            before = self._standings.get(identity)
            after = stand(before, found, was_activated=key.was_activated)
            self._standings[identity] = after
            self._due[identity] = self._monotonic() + (after.next_look or interval)
        if before is None or (before.may_sign, before.last.seen) != (after.may_sign, found.seen):
            self._tell(key, before, after)

    def _tell(self, key: StoredKey, before: Standing | None, after: Standing) -> None:
        log = self._log.bind(record=record_name(key.domain, key.selector), signs=after.may_sign)
        found = after.last
        if found.seen is Seen.UNKNOWN:
            log.warning("not known whether a key is published", dns=found.reason)
        elif found.seen is not Seen.PUBLISHED:
            log.error("a key is not published as it should be", dns=found.reason)
        elif found.note:
            log.warning("a key is published with an odd record", dns=found.note)
        elif before is not None:
            log.info("a key is published")
