"""Watcher of a queue: a thread that reads the list of showq(8) from its socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from gatepost.postfix_watch.queue_list import QueueListError, QueueListReader
from gatepost.postfix_watch.queue_tally import QueueTally
from gatepost.reports.queue_state import QueueState

INTERVAL: Final = 60.0
"""Seconds between two looks at the queue."""
SHARE: Final = 10
"""A look that took long is followed by a pause so many times as long: showq opens each mail."""
MAX_TIME: Final = 30.0
"""Seconds for a look; what has come until then counts."""
STEP: Final = 10.0
"""Seconds without any octet after which showq counts as stuck."""
_PART: Final = 64 << 10


def read_queue(
    path: Path, clock: Callable[[], float] = time.time, most: float = MAX_TIME
) -> QueueState:
    """Return the state of the queue; raises `OSError` and `QueueListError`.

    `path` is the socket of showq, ``public/showq`` below the queue directory. The user has to be in
    the group postdrop, which may enter that folder.
    """
    end = time.monotonic() + most
    reader, tally = QueueListReader(), QueueTally()
    at = int(clock())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(STEP)
        connection.connect(str(path))
        while not reader.is_complete and time.monotonic() < end:
            octets = connection.recv(_PART)
            if not octets:
                raise QueueListError("The list of the queue breaks off.")
            for event in reader.receive_data(octets):
                tally.add(event)
    return tally.state(at, is_partial=not reader.is_complete)


class QueueWatcher:
    """The thread that looks at the queue, and what it saw last."""

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        self._path = path
        self._log = log
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._state: QueueState | None = None
        self._problem: str | None = "not read yet"

    @property
    def state(self) -> QueueState | None:
        """Return the state as of the last look that succeeded."""
        return self._state

    def problem(self) -> str | None:
        """Return why the last look failed; None if it did not. For `Probes`."""
        return self._problem

    def start(self) -> None:
        """Look from now on, in a thread."""
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, which may be in the middle of a look."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def turn(self) -> float:
        """Look once; return the seconds until the next time."""
        begin = time.monotonic()
        before = self._problem
        try:
            self._state = read_queue(self._path)
            self._problem = None
        except (OSError, QueueListError) as error:
            said = error.strerror if isinstance(error, OSError) else None
            self._problem = f"{self._path}: {said or error}"
            if self._problem != before:
                self._log.warning("the queue cannot be read", problem=self._problem)
        return max(INTERVAL, SHARE * (time.monotonic() - begin))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self.turn()
            except Exception:  # a bug must not end the thread
                self._log.exception("internal error while the queue is read")
                pause = INTERVAL
            self._stop.wait(pause if self._problem is None else min(pause, 10.0))
