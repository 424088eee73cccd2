"""How many connections each worker has, for all workers to see.

Workers accept from one listening socket, and whoever is woken first would take whatever comes. A
session of Postfix lasts as long as its client's, so a worker that took them all would have the
others idle for long.
"""

from __future__ import annotations

import mmap


class Balance:
    """A number for each of `workers`, in memory that they share; made before they are forked."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # a worker writes its own number alone, and reads those of others as a hint: no lock
        self._counts = memoryview(mmap.mmap(-1, 4 * workers)).cast("I")

    def set(self, worker: int, connections: int) -> None:
        """Tell the others how many connections this worker has."""
        self._counts[worker] = connections

    def excess(self, worker: int) -> int:
        """Return how many connections more this worker has than the one with the fewest."""
        return self._counts[worker] - min(self._counts)
