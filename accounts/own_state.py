"""State of this process for the overview, which it writes itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

from accounts.directory import daemon_states
from accounts.store.database import Database
from accounts.store.errors import DatastoreError
from gatepost.logs import get_logger
from gatepost.metrics import Probes
from gatepost.reports.report import StateReport
from gatepost.reports.sender import AGAIN, INTERVAL
from gatepost.version import __version__

log = get_logger("accounts")


class OwnState:
    """Writer of the state that the probes tell; a database that is away is no fault of it."""

    def __init__(
        self, database: Database, probes: Probes, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._probes = probes
        self._clock = clock
        self._started = int(clock())

    async def run(self) -> None:
        """Write the state once a minute, forever."""
        while True:
            pause = INTERVAL
            try:
                if await self.note():
                    pause = AGAIN
            except DatastoreError:
                pass  # the vitals log it
            except Exception:  # a bug must not stop the service
                log.exception("internal error while the own state is written")
            await asyncio.sleep(pause)

    async def note(self) -> bool:
        """Write the state, and return whether there is a problem; raises `DatastoreError`."""
        problems = dict.fromkeys(
            (*self._probes.problems("/healthz"), *self._probes.problems("/readyz"))
        )
        await self._write(tuple(problems), tuple(self._probes.remarks("/readyz")), is_over=False)
        return bool(problems)

    async def end(self) -> None:
        """Write that this process ends."""
        with contextlib.suppress(DatastoreError):
            await self._write((), (), is_over=True)

    async def _write(
        self, problems: tuple[str, ...], remarks: tuple[str, ...], *, is_over: bool
    ) -> None:
        report = StateReport(
            "accounts",
            socket.gethostname(),
            __version__,
            self._started,
            problems,
            remarks,
            is_over,
        )
        now = int(self._clock())
        await self._database.record(lambda c: daemon_states.note(c, report, now))
