"""clamd on the event loop of a worker: turns, time limit, outage and metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from structlog.typing import FilteringBoundLogger

from gatepost.clamd.instream import ClamdReader, ClamdStream
from gatepost.listen import SocketAddress
from gatepost.metrics import Counter, Gauge, Histogram
from gatepost.peer.connection import ask
from gatepost.peer.errors import PeerError
from milters.content import MessageContent
from milters.virus import AWAY, INCOMPLETE, NO_SPACE, VirusFinding
from milters.virus_settings import VirusScanSettings

IMPATIENT: Final = 5.0
"""Seconds for a message while clamd has not answered the one before."""
MAX_NAMES: Final = 100
"""Names of viruses that each worker counts; all further ones count as `other`."""

SCANS = Counter(
    "gatepost_milters_virus_scans_total",
    "Messages to scan for viruses: `clean`, `found`, or the reason id why there is no result",
    ["result"],
)
VIRUSES = Counter(
    "gatepost_milters_viruses_total",
    "Messages refused for a virus, by its name; after 100 names, `other`",
    ["virus"],
)
SCAN_SECONDS = Histogram(
    "gatepost_milters_virus_scan_seconds",
    "Time of a scan for viruses, without the wait for its turn",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
OUTAGE = Gauge(
    "gatepost_milters_virus_scanner_outage",
    "1 while the last scan for viruses of any worker has failed",
    across="max",
)


class MilterVirusScanner:
    """clamd at the address of `settings`, which has one.

    Once it has been silent for `timeout`, further messages only wait for `IMPATIENT` seconds, until
    one has its answer: a clamd that accepts connections and never answers must not keep all of
    Postfix waiting, nor may one message that takes too long keep the others from their scan.
    """

    def __init__(
        self,
        settings: VirusScanSettings,
        address: SocketAddress,
        log: FilteringBoundLogger,
    ) -> None:
        self.settings = settings
        self._address = address
        self._log = log
        self._turns = asyncio.Semaphore(settings.max_scans)
        self._is_failing = False
        self._is_silent = False
        self._names: set[str] = set()

    async def scan(self, content: MessageContent) -> VirusFinding:
        """Return the finding about a message within `timeout` seconds."""
        finding = await self._finding(content)
        SCANS.labels(finding.result).inc()
        if finding.virus:
            if len(self._names) < MAX_NAMES:
                self._names.add(finding.virus)
            VIRUSES.labels(finding.virus if finding.virus in self._names else "other").inc()
        return finding

    async def _finding(self, content: MessageContent) -> VirusFinding:
        if content.problem:
            return VirusFinding(reason=NO_SPACE, problem=content.problem)
        timeout = self.settings.timeout
        if self._is_silent:
            timeout = min(timeout, IMPATIENT)
        try:
            async with asyncio.timeout(timeout), self._turns:
                begun = time.monotonic()
                stream = ClamdStream(content.parts())
                result = await ask(self._address, stream, ClamdReader(stream), timeout + 1)
        except PeerError as error:
            self._is_silent = False
            return self._failed(str(error))
        except TimeoutError:
            self._is_silent = True
            return self._failed(f"no answer within {timeout:g} s")
        SCAN_SECONDS.observe(time.monotonic() - begun)
        self._is_silent = False
        if self._is_failing:
            self._is_failing = False
            OUTAGE.set(0)
            self._log.info("virus scanner answers again")
        if result.is_limit:
            return VirusFinding(reason=INCOMPLETE, problem=f"clamd says {result.virus}")
        if not result.virus and content.is_partial:
            problem = f"larger than scan_size = {self.settings.scan_size}"
            return VirusFinding(reason=INCOMPLETE, problem=problem)
        return VirusFinding(result.virus)

    def _failed(self, problem: str) -> VirusFinding:
        if not self._is_failing:
            self._is_failing = True
            OUTAGE.set(1)
            self._log.warning("virus scanner failed", problem=problem, address=str(self._address))
        return VirusFinding(reason=AWAY, problem=problem)
