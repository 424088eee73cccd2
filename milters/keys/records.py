"""State of the records of our keys, kept up to date while the milter runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from gatepost.metrics import Gauge
from milters.keys.names import record_name
from milters.keys.publication import Publication, RecordStatus, Standing, stand
from milters.keys.stored import StoredKey

MAX_QUESTIONS = 16
"""Maximum DNS queries about keys at a time."""

KEYS = Gauge(
    "gatepost_milters_keys",
    "Active signing keys by state: `signing`, `unpublished` (the record is missing or does not "
    "match), `unknown` (DNS has not answered yet)",
    ["state"],
    across="max",
)

CheckRecord: TypeAlias = Callable[[StoredKey], Publication]
_Identity: TypeAlias = tuple[str, str, bytes]


class Records:
    """The standing of each key, and the time of its next check. Thread-safe.

    It survives reloads: a key whose record was seen keeps that state while DNS does not answer.
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
        """Return whether the key may sign, judging by its record."""
        standing = self._standings.get(key.identity)
        return standing is not None and standing.may_sign

    def due(self, keys: Iterable[StoredKey]) -> list[StoredKey]:
        """Return those of `keys` that are due for a check; new ones always are."""
        now = self._monotonic()
        return [key for key in keys if self._due.get(key.identity, now) <= now]

    def seconds_to_next(self, keys: Iterable[StoredKey], at_most: float) -> float:
        """Return the seconds until a key is due, between 1 and `at_most`."""
        now = self._monotonic()
        next_due = min((self._due.get(key.identity, now) for key in keys), default=now + at_most)
        return min(max(next_due - now, 1.0), at_most)

    def look_at(self, keys: Iterable[StoredKey], look: CheckRecord, interval: float) -> None:
        """Compare `keys` with DNS, several at a time, and remember the results.

        `interval` is in seconds: the time until correct records are checked again.
        """
        with ThreadPoolExecutor(MAX_QUESTIONS) as pool:
            looked = [(key, pool.submit(look, key)) for key in keys]
            for key, found in looked:
                self._take(key, found.result(), interval)

    def forget_all_but(self, keys: Iterable[StoredKey]) -> None:
        """Forget keys that no longer exist."""
        identities = {key.identity for key in keys}
        with self._lock:
            for identity in self._standings.keys() - identities:
                del self._standings[identity]
                self._due.pop(identity, None)

    def count(self, keys: Iterable[StoredKey], signing: Callable[[StoredKey], bool]) -> None:
        """Export the number of `keys` in each state to the metrics."""
        counts = {"signing": 0, "unpublished": 0, "unknown": 0}
        for key in keys:
            standing = self._standings.get(key.identity)
            if signing(key):
                counts["signing"] += 1
            elif standing is None or standing.seen is RecordStatus.UNKNOWN:
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
        if found.seen is RecordStatus.UNKNOWN:
            log.warning("unknown whether a key is published", dns=found.reason)
        elif found.seen is not RecordStatus.PUBLISHED:
            log.error("a key is not published correctly", dns=found.reason)
        elif found.note:
            log.warning("a key is published with an unusual record", dns=found.note)
        elif before is not None:
            log.info("a key is published")
