"""Vital signs of the workers, written by them and read by their parent.

A readiness probe that only knows that workers run stays green while none of them has room.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable

BEAT_INTERVAL = 1.0
"""Seconds between two signs of life of a worker."""
STUCK_AFTER = 10.0
"""Seconds without a sign of life after which a worker hangs."""
BLOCKED_AFTER = 3.0
"""Seconds for which a worker takes no connection until that is told: one that is full of
connections which have just come makes room sooner."""


class Vitals:
    """Two times for each of `workers`, in memory that they share; made before they are forked.

    `clock` is one that all processes of the machine share.
    """

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        # a worker writes its own two numbers alone: no lock. 0 is "never" and "not"
        self._beats = memoryview(mmap.mmap(-1, 8 * workers)).cast("d")
        self._blocked = memoryview(mmap.mmap(-1, 8 * workers)).cast("d")
        self._clock = clock

    def beat(self, worker: int, *, takes: bool) -> None:
        """Worker `worker` turns; `takes`: it could take a connection and follow it."""
        now = self._clock()
        self._beats[worker] = now
        if takes:
            self._blocked[worker] = 0.0
        elif not self._blocked[worker]:
            self._blocked[worker] = now

    def started(self, worker: int) -> None:
        """Worker `worker` begins, perhaps in the place of one that died."""
        self._blocked[worker] = 0.0
        self.beat(worker, takes=True)

    def not_taking(self) -> str | None:
        """Why a new connection would wait; None when one worker at least would take it."""
        now = self._clock()
        times = [now - since if since else 0.0 for since in self._blocked]
        if min(times) < BLOCKED_AFTER:
            return None
        return f"no worker can take a connection, for {min(times):.0f} s"

    def stuck(self) -> str | None:
        """Return which workers hang, with what they have taken; None when none does."""
        silent = self._silent()
        return ", ".join(f"worker {n}: no turn for {s:.0f} s" for n, s in silent) or None

    def all_stuck(self) -> str | None:
        """`stuck()` if it is true of all workers."""
        return self.stuck() if len(self._silent()) == len(self._beats) else None

    def _silent(self) -> list[tuple[int, float]]:
        now = self._clock()
        times = [(n, now - beat) for n, beat in enumerate(self._beats) if beat]
        return [(n, seconds) for n, seconds in times if seconds > STUCK_AFTER]
