"""Sender of records to accounts: a bounded queue, and the thread that empties it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.journal.counts import RECORDS
from gatepost.journal.record import JournalRecord, encode
from gatepost.snapshots.client import FetchError
from gatepost.snapshots.connection import AccountsConnection
from gatepost.snapshots.settings import AccountsSource

PATH: Final = "/journal/v1/records"
MEDIA_TYPE: Final = "application/x-ndjson"
MAX_WAITING: Final = 4 << 20
"""Octets of records that wait, in each process: several thousand."""
MAX_BATCH: Final = 256 << 10
"""Octets of a request; accounts takes no more than twice as many."""
LINGER: Final = 1.0
"""Seconds that a record waits for others."""
MAX_AGE: Final = 60.0
"""Seconds that records wait for accounts. It is longer than a restart takes."""
PAUSES: Final = (1.0, 2.0, 5.0, 10.0)
"""Seconds after each failure in a row; the last one repeats."""
OFF_PAUSE: Final = 300.0
"""Seconds until accounts is asked again that keeps no journal."""
TIMEOUT: Final = 15.0
"""Seconds for each step of a request."""
LAST_TIMEOUT: Final = 2.0
"""Seconds that the last request may take when the daemon stops."""
TELL_AGAIN: Final = 600.0
"""Seconds until a continuing failure is logged again."""


class SendError(Exception):
    """Records were not taken; `why` is the label of the metric."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


class JournalPost(Protocol):
    """Interface of `JournalClient`."""

    def post(self, octets: bytes, timeout: float) -> None:
        """Send lines; raises `SendError`."""

    def close(self) -> None:
        """Close the connection."""


class JournalClient:
    """Client with one connection to accounts, opened when needed. Use it in one thread."""

    def __init__(self, source: AccountsSource) -> None:
        self._connection = AccountsConnection(source)

    def post(self, octets: bytes, timeout: float) -> None:
        """Send lines; raises `SendError`. `timeout` is for each step, in seconds."""
        try:
            status = self._connection.ask("POST", PATH, timeout, octets, MEDIA_TYPE).status
        except FetchError as error:
            raise SendError(error.why, str(error)) from None
        if status == HTTPStatus.NO_CONTENT:
            return
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            raise SendError("off", "accounts keeps no journal")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise SendError("refused", f"accounts refuses it with {status}")
        raise SendError("away", f"accounts answers with {status}")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()


class JournalSender:
    """Queue of records, and the thread that sends them.

    `add()` may be called in any thread, before and after `start()`. It never waits.
    """

    def __init__(
        self,
        source: AccountsSource,
        log: FilteringBoundLogger,
        client: JournalPost | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_wanted = source.url is not None and source.journal
        self._client = client or JournalClient(source)
        self._log = log
        self._clock = clock
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._octets = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._told: tuple[str, float] | None = None
        self._counts = {
            result: RECORDS.labels(result) for result in ("sent", "full", "away", "refused", "off")
        }

    @property
    def is_wanted(self) -> bool:
        """Return whether records are sent at all."""
        return self._is_wanted

    def add(self, record: JournalRecord) -> None:
        """Take a record, or drop it if too many are waiting."""
        if not self._is_wanted:
            return
        line = encode(record)
        with self._lock:
            if self._octets + len(line) > MAX_WAITING:
                self._counts["full"].inc()
                return
            self._waiting.append((self._clock(), line))
            self._octets += len(line)
        if not self._news.is_set():
            self._news.set()

    def start(self) -> None:
        """Send from now on, in a thread of this process."""
        if self._is_wanted and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Send the rest, for at most `LAST_TIMEOUT` seconds, and end the thread."""
        self._stop.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(2 * LAST_TIMEOUT)

    def turn(self, timeout: float = TIMEOUT) -> float:
        """Send one batch; return the seconds until the next one."""
        batch = self._batch()
        if not batch:
            return 0.0
        octets = b"".join(line for _, line in batch)
        try:
            self._client.post(octets, timeout)
        except SendError as error:
            return self._failed(error)
        self._remove(len(batch))
        self._counts["sent"].inc(len(batch))
        if self._failures:
            self._log.info("accounts takes decisions again", failures=self._failures)
        self._failures, self._told = 0, None
        return 0.0

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.wait()
            if not self._stop.is_set():
                self._stop.wait(LINGER)
            self._news.clear()
            try:
                while self._waiting and not self._stop.is_set():
                    self._stop.wait(self.turn())
            except Exception:  # a bug must not end the thread
                self._log.exception("internal error while decisions are sent")
                self._client.close()
                self._stop.wait(PAUSES[-1])
        end = self._clock() + LAST_TIMEOUT
        while self._waiting and not self._failures and self._clock() < end:
            self.turn(LAST_TIMEOUT)
        self._client.close()

    def _batch(self) -> list[tuple[float, bytes]]:
        """Return the oldest records for one request; they stay in the queue."""
        taken: list[tuple[float, bytes]] = []
        octets = 0
        with self._lock:
            for one in self._waiting:
                octets += len(one[1])
                if taken and octets > MAX_BATCH:
                    break
                taken.append(one)
        return taken

    def _remove(self, count: int) -> None:
        with self._lock:
            for _ in range(count):
                self._octets -= len(self._waiting.popleft()[1])

    def _failed(self, error: SendError) -> float:
        """Drop what has waited too long; return the seconds until the next attempt."""
        now = self._clock()
        is_off = error.why in ("off", "refused")
        with self._lock:
            old = sum(1 for since, _ in self._waiting if is_off or since <= now - MAX_AGE)
        self._remove(old)
        self._counts[error.why].inc(old)
        told = self._told
        if told is None or told[0] != error.why or now - told[1] >= TELL_AGAIN:
            self._told = error.why, now
            level = self._log.info if error.why == "off" else self._log.warning
            level("decisions not sent to accounts", why=error.why, problem=str(error))
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        return OFF_PAUSE if error.why == "off" else pause
