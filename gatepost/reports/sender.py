"""Sender of reports: a thread that tells accounts the state of this daemon."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from structlog.typing import FilteringBoundLogger

from gatepost.metrics import Probes
from gatepost.reports.queue_state import QueueState
from gatepost.reports.report import StateReport, encode_report
from gatepost.snapshots.client import FetchError
from gatepost.snapshots.connection import AccountsConnection
from gatepost.snapshots.settings import AccountsSource
from gatepost.version import __version__

PATH: Final = "/reports/v1/states"
MEDIA_TYPE: Final = "application/json"
INTERVAL: Final = 60.0
"""Seconds between two reports."""
AGAIN: Final = 10.0
"""Seconds after a report that was not taken, or that has a problem."""
OFF_PAUSE: Final = 300.0
"""Seconds until an accounts is asked again that takes no reports: an older one."""
TIMEOUT: Final = 10.0
"""Seconds for each step of a request."""
LAST_TIMEOUT: Final = 2.0
"""Seconds for each step of the last report, when the daemon stops."""
_REASONS: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "off",
    HTTPStatus.UNAUTHORIZED: "refused",
    HTTPStatus.FORBIDDEN: "refused",
}


class ReportSender:
    """The thread that sends reports.

    `probes` are the checks that it reports about; they are called in the thread. A new one is made
    before a daemon forks, so that all its processes know when it started, and one of them sends.
    `queue` returns the queue of a Postfix.
    """

    def __init__(
        self,
        component: str,
        source: AccountsSource,
        probes: Callable[[], Probes],
        log: FilteringBoundLogger,
        connection: AccountsConnection | None = None,
        queue: Callable[[], QueueState | None] | None = None,
    ) -> None:
        self._component = component
        self._is_wanted = source.url is not None
        self._probes = probes
        self._log = log
        self._queue = queue or (lambda: None)
        self._connection = connection or AccountsConnection(source)
        self._instance = socket.gethostname()
        self._started = int(time.time())
        self._told = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send from now on, in a thread of this process."""
        if self._is_wanted and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reports", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Say that the daemon ends, and end the thread; takes a few seconds at most."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(3 * LAST_TIMEOUT)

    def report(self, *, is_over: bool = False) -> StateReport:
        """Return the state of this daemon."""
        if is_over:
            return self._about((), (), is_over=True)
        probes = self._probes()
        problems = dict.fromkeys((*probes.problems("/healthz"), *probes.problems("/readyz")))
        return self._about(tuple(problems), tuple(probes.remarks("/readyz")), is_over=False)

    def turn(self, timeout: float = TIMEOUT, *, is_over: bool = False) -> float:
        """Send one report; return the seconds until the next one."""
        report = self.report(is_over=is_over)
        octets = encode_report(report)
        try:
            status = self._connection.ask("POST", PATH, timeout, octets, MEDIA_TYPE).status
        except FetchError as error:
            return self._failed(error.why, str(error))
        if status == HTTPStatus.NO_CONTENT:
            self._told = ""
            if report.problems:  # as at the start; they are over soon, or worth a look
                return AGAIN
            # the daemons of many hosts, started together, must not report together for ever
            return INTERVAL * random.uniform(0.9, 1.1)  # noqa: S311
        return self._failed(_REASONS.get(status, "away"), f"accounts answers with {status}")

    def _about(
        self, problems: tuple[str, ...], remarks: tuple[str, ...], *, is_over: bool
    ) -> StateReport:
        return StateReport(
            self._component,
            self._instance,
            __version__,
            self._started,
            problems,
            remarks,
            is_over,
            None if is_over else self._queue(),
        )

    def _failed(self, why: str, problem: str) -> float:
        if self._told != why:  # the same failure is told once
            self._told = why
            level = self._log.warning if why == "refused" else self._log.info
            level("state not reported to accounts", why=why, problem=problem)
        return OFF_PAUSE if why == "off" else AGAIN

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self.turn()
            except Exception:  # a bug must not end the thread
                self._log.exception("internal error while the state is reported")
                self._connection.close()
                pause = INTERVAL
            self._stop.wait(pause)
        if not self._told:
            self.turn(LAST_TIMEOUT, is_over=True)
        self._connection.close()
