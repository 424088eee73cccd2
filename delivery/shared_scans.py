"""Scans that recipients of one message share, also when the MTA sends it once for each of them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from delivery.scan import ScanResult

MAX_SHARED = 1000
"""Scans that are remembered; the oldest is forgotten first."""


class SharedScanKey(NamedTuple):
    """Everything that changes the result of a scan."""

    identity: str
    """The same each time that our MTA sends the message, and never empty."""
    user: str
    """The user of the scanner, whose data and preferences count."""
    wishes: object
    """Further wishes of the request."""
    digest: bytes
    """Digest of the octets that the scanner sees."""

    @classmethod
    def of(
        cls, identity: str, user: str, wishes: object, parts: Iterable[bytes]
    ) -> SharedScanKey | None:
        """Return the key of a scan of these octets; None if the message has no identity."""
        if not identity:
            return None
        digest = blake2b(digest_size=32)
        for part in parts:
            digest.update(part)
        return cls(identity, user, wishes, digest.digest())


class SharedScans:
    """Scans under way, and the results of those that began in the last `lifetime` seconds.

    A scan that fails is forgotten at once, so the next recipient tries again.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._scans: OrderedDict[SharedScanKey, tuple[float, asyncio.Task[ScanResult]]] = (
            OrderedDict()
        )

    @property
    def is_on(self) -> bool:
        """True if scans are shared: then a key is worth its digest."""
        return self._lifetime > 0

    async def result(
        self, key: SharedScanKey | None, scan: Callable[[], Coroutine[Any, Any, ScanResult]]
    ) -> ScanResult:
        """Return the result of an equal scan, or of `scan()`; raises what that raises.

        A scan ends with the recipient who began it, whose message it reads. If this one is gone,
        the next who waits begins anew.
        """
        if key is None or not self.is_on:
            return await scan()
        while True:
            self._forget()
            begun = self._scans.get(key)
            if begun is None:
                if len(self._scans) == MAX_SHARED:
                    self._scans.popitem(last=False)
                task = asyncio.create_task(scan())
                self._scans[key] = self._clock(), task
                task.add_done_callback(lambda done: self._ended(key, done))
                return await task
            await asyncio.wait({begun[1]})
            if not begun[1].cancelled():
                return begun[1].result()

    def _ended(self, key: SharedScanKey, task: asyncio.Task[ScanResult]) -> None:
        if task.cancelled() or task.exception() is not None:
            kept = self._scans.get(key)
            if kept is not None and kept[1] is task:
                del self._scans[key]

    def _forget(self) -> None:
        """Drop the scans that are too old; they stand in the order in which they began."""
        oldest = self._clock() - self._lifetime
        while self._scans and next(iter(self._scans.values()))[0] <= oldest:
            self._scans.popitem(last=False)
