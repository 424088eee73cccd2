"""The number of connections of each worker, visible to all workers.

Workers accept from one listening socket, and the one that wakes first could take all connections. A
session of Postfix lasts as long as its client's, so the other workers could be idle for long.
"""

from __future__ import annotations

import mmap


class Balance:
    """A number for each of `workers`, in shared memory created before they are forked."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # a worker only writes its own number, and reads the others as a hint: no lock needed
        self._counts = memoryview(mmap.mmap(-1, 4 * workers)).cast("I")

    def set(self, worker: int, connections: int) -> None:
        """Publish the number of connections of this worker."""
        self._counts[worker] = connections

    def excess(self, worker: int) -> int:
        """Return how many more connections this worker has than the one with the fewest."""
        return self._counts[worker] - min(self._counts)
