"""Watcher of the log of Postfix: a thread that sends what it tells about deliveries to accounts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.journal.record import JournalRecord
from gatepost.postfix_watch.log_line import LogLine
from gatepost.postfix_watch.log_place import PlaceFile
from gatepost.postfix_watch.recorder import DeliveryRecorder

PAUSE: Final = 0.5
"""Seconds between two looks at the log."""
SAVED: Final = 5.0
"""Seconds between two signs of life, and savings of the place."""
AGAIN: Final = 10.0
"""Seconds until a log that cannot be read is tried again."""


class LogSource(Protocol):
    """Interface of `LogFile` and `SystemdJournal`. The methods raise `OSError`."""

    def lines(self) -> Iterator[tuple[LogLine, bool]]:
        """Yield the lines that have come, and whether they are news."""

    def save(self) -> None:
        """Keep the place up to which lines were read."""

    def close(self) -> None:
        """Let go of the log."""


class LogWatcher:
    """The thread. `send` takes a record, and never waits."""

    def __init__(
        self,
        source: LogSource,
        place: PlaceFile,
        send: Callable[[JournalRecord], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._source = source
        self._place = place
        self._send = send
        self._log = log
        self._recorder = DeliveryRecorder()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem: str | None = None

    def problem(self) -> str | None:
        """Return why the log is not read; None if it is. For `Probes`."""
        return self._problem

    def start(self) -> None:
        """Watch from now on, in a thread."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the lines that are there."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def turn(self) -> float:
        """Send what has come; return the seconds until the next time."""
        try:
            for line, is_news in self._source.lines():
                record = self._recorder.record(line)
                if record is not None and is_news:
                    self._send(record)
        except OSError as error:
            self._failed(f"{error.strerror or error}")
            return AGAIN
        if self._problem is not None:
            self._log.info("the log of Postfix is read again")
            self._problem = None
        return PAUSE

    def _run(self) -> None:
        waited = SAVED
        while True:
            is_last = self._stop.is_set()
            try:
                pause = self.turn()
                waited += pause
                if waited >= SAVED or is_last:
                    waited = 0.0
                    self._save()
            except Exception:  # a bug must not end the thread
                self._log.exception("internal error while the log is read")
                pause = AGAIN
            if is_last:
                break
            self._stop.wait(pause)
        self._source.close()

    def _save(self) -> None:
        try:
            self._source.save()
        except OSError as error:
            self._failed(f"its place cannot be kept: {error.strerror or error}")
        self._place.beat()

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._log.warning("the log of Postfix is not read", problem=problem)
