"""The store in memory: for one process, for tests, and while another store is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice

from policyd.stores import Change, StoreEntry, T

MAX_ENTRIES = 1_000_000
"""Maximum entries (some 300 bytes each); the oldest are dropped."""
SWEEP_STEP = 2_000
"""Maximum entries that one sweep checks: under a millisecond."""
BUCKET = 3600
"""Entries that expire within so many seconds are swept together, so that a sweep never visits fresh
ones."""


class MemoryStore:
    """Entries in a dictionary, lost when the process ends."""

    name = "memory"

    def __init__(
        self, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.time
    ) -> None:
        self.entries: dict[str, StoreEntry] = {}
        self._max_entries = max_entries
        self._clock = clock
        self._due: dict[int, set[str]] = {}
        self._sweeping: set[str] = set()

    def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
        """As `Store.update`; done at once."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(self.update_now(keys, change))
        except Exception as error:  # raised by the change, for the caller
            future.set_exception(error)
        return future

    def update_now(self, keys: Sequence[str], change: Change[T]) -> T:
        """As `update`, without an event loop."""
        now = self._clock()
        before = [self._fresh(key, now) for key in keys]
        after, result = change(before)
        for key, old, new in zip(keys, before, after, strict=True):
            if new is old:
                continue
            if new is None:
                self._forget(key)
            else:
                self.put(key, new)
        while len(self.entries) > self._max_entries:
            self._forget(next(iter(self.entries)))
        return result

    def put(self, key: str, entry: StoreEntry) -> None:
        """Store `entry` as the entry of `key`."""
        old = self.entries.get(key)
        self.entries[key] = entry
        bucket = entry.expires // BUCKET
        if old is not None:
            if old.expires // BUCKET == bucket:
                return
            self._not_due(key, old)
        self._due.setdefault(bucket, set()).add(key)

    def _forget(self, key: str) -> None:
        old = self.entries.pop(key, None)
        if old is not None:
            self._not_due(key, old)

    def _not_due(self, key: str, entry: StoreEntry) -> None:
        # a deleted entry is not waited for: its name would stay until it had expired
        bucket = entry.expires // BUCKET
        due = self._due.get(bucket)
        if due is not None:
            due.discard(key)
            if not due:
                del self._due[bucket]

    def _fresh(self, key: str, now: float) -> StoreEntry | None:
        entry = self.entries.get(key)
        return entry if entry is not None and entry.expires > now else None

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, StoreEntry]]:
        """As `Store.scan`."""
        now = self._clock()
        for key, entry in list(self.entries.items()):
            if key.startswith(prefix) and entry.expires > now:
                yield key, entry

    async def sweep(self) -> int:
        """As `Store.sweep`."""
        now = self._clock()
        if not self._sweeping and self._due:
            oldest = min(self._due)
            if (oldest + 1) * BUCKET > now:
                return 0
            self._sweeping = self._due.pop(oldest)
        removed = 0
        for _ in range(min(SWEEP_STEP, len(self._sweeping))):
            key = self._sweeping.pop()
            entry = self.entries.get(key)
            if entry is not None and entry.expires <= now:
                del self.entries[key]
                removed += 1
        return removed

    def take(self, count: int) -> list[tuple[str, StoreEntry]]:
        """Remove up to `count` entries, the oldest first, and return them."""
        taken = list(islice(self.entries.items(), count))
        for key, _ in taken:
            self._forget(key)
        return taken

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
