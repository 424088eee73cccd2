"""Signs of life of the workers, written by them and read by their parent.

A readiness probe that only checked whether workers run would stay green while none has room.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable

BEAT_INTERVAL = 1.0
"""Seconds between two signs of life of a worker."""
STUCK_AFTER = 10.0
"""Seconds without a sign of life after which a worker counts as hung."""
BLOCKED_AFTER = 3.0
"""Seconds without accepting a connection after which a worker is reported: one that is full of new
connections makes room sooner."""


class Vitals:
    """Two times for each of `workers`, in shared memory created before they are forked.

    `clock` is shared by all processes of the machine.
    """

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        # a worker only writes its own two numbers: no lock needed. 0 means "never" and "not"
        self._beats = memoryview(mmap.mmap(-1, 8 * workers)).cast("d")
        self._blocked = memoryview(mmap.mmap(-1, 8 * workers)).cast("d")
        self._clock = clock

    def beat(self, worker: int, *, takes: bool) -> None:
        """Note a sign of life of `worker`; `takes`: it could accept and serve a connection."""
        now = self._clock()
        self._beats[worker] = now
        if takes:
            self._blocked[worker] = 0.0
        elif not self._blocked[worker]:
            self._blocked[worker] = now

    def started(self, worker: int) -> None:
        """Note that `worker` starts, perhaps as a replacement for one that died."""
        self._blocked[worker] = 0.0
        self.beat(worker, takes=True)

    def not_taking(self) -> str | None:
        """Return why a new connection would wait; None if at least one worker would accept it."""
        now = self._clock()
        times = [now - since if since else 0.0 for since in self._blocked]
        if min(times) < BLOCKED_AFTER:
            return None
        return f"no worker has been able to accept a connection for {min(times):.0f} s"

    def stuck(self) -> str | None:
        """Return the workers that hang while holding connections; None if there are none."""
        silent = self._silent()
        return ", ".join(f"worker {n}: no sign of life for {s:.0f} s" for n, s in silent) or None

    def all_stuck(self) -> str | None:
        """Return `stuck()` if all workers hang."""
        return self.stuck() if len(self._silent()) == len(self._beats) else None

    def _silent(self) -> list[tuple[int, float]]:
        now = self._clock()
        times = [(n, now - beat) for n, beat in enumerate(self._beats) if beat]
        return [(n, seconds) for n, seconds in times if seconds > STUCK_AFTER]
