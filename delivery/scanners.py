"""Scanners on the event loop: turns, time limits, metrics and outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

from structlog.typing import FilteringBoundLogger

from delivery.arrived import ScannerCopy
from delivery.counts import OUTAGE, SCAN_SECONDS, SCANS
from delivery.outage import Outage
from delivery.preferences import ScanWishes
from delivery.protocols import rspamd, spamc
from delivery.protocols.rspamd import RspamdQuestion
from delivery.scan import ScanResult
from delivery.settings import SpamSettings, VirusSettings
from delivery.shared_scans import SharedScanKey, SharedScans
from delivery.user_folders import UserFolders
from gatepost.clamd.instream import ClamdReader, ClamdStream, VirusResult
from gatepost.errors import StartError
from gatepost.listen import SocketAddress
from gatepost.peer.answer_reader import AnswerReader
from gatepost.peer.connection import ask
from gatepost.peer.errors import PeerError
from gatepost.peer.gathering import gathered

R = TypeVar("R")

SPAM: Final = "spam"
VIRUS: Final = "virus"


class ScanFailedError(Exception):
    """A scan gave no result.

    `is_outage` tells that mail has waited for long enough: see `delivery.outage`. `must_wait` tells
    that the scanner works, and wants to see the message later.
    """

    def __init__(self, problem: str, *, is_outage: bool, must_wait: bool = False) -> None:
        super().__init__(problem)
        self.is_outage = is_outage
        self.must_wait = must_wait


class ScannerTurns(Generic[R]):
    """Access to one scanner: at most `max_scans` at once, each with its time limit."""

    def __init__(
        self,
        name: str,
        address: SocketAddress,
        timeout: float,
        max_scans: int,
        patience: float,
        outage: Outage,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._address = address
        self._timeout = timeout
        self._turns = asyncio.Semaphore(max_scans)
        self._under_way = 0
        self._patience = patience
        self._outage = outage
        self._log = log.bind(scanner=name)
        self._clock = clock

    async def scan(self, identity: str, parts: Iterable[bytes], reader: AnswerReader[R]) -> R:
        """Send a request and return its answer; raises `ScanFailedError`."""
        begun = self._clock()
        if self._under_way and self._outage.has_lasted(begun, self._timeout):
            # one message tries whether it is back, the others need not wait for that
            raise self.failed(identity, "it has not answered others for too long")
        self._under_way += 1
        try:
            async with self._turns:
                answer = await ask(self._address, parts, reader, self._timeout)
        except PeerError as error:
            raise self.failed(identity, str(error)) from None
        finally:
            self._under_way -= 1
        SCANS.labels(self._name, "done").inc()
        SCAN_SECONDS.labels(self._name).observe(self._clock() - begun)
        return answer

    def succeeded(self, identity: str) -> None:
        """Note that an answer is usable."""
        if self._outage.note_success(identity).has_ended:
            OUTAGE.labels(self._name).set(0)
            self._log.info("scanner answers again")

    def waits(self, identity: str) -> ScanFailedError:
        """Note that the scanner wants to see a message later, and return the error."""
        now = self._clock()
        self._outage.note_wait(identity, now)
        is_outage = self._outage.lasts(identity, now, self._patience)
        text = "it wants to see the message later"
        return ScanFailedError(text, is_outage=is_outage, must_wait=True)

    def failed(self, identity: str, problem: str) -> ScanFailedError:
        """Note that there is no usable answer, and return the error."""
        now = self._clock()
        if self._outage.note_failure(identity, now).has_begun:
            OUTAGE.labels(self._name).set(1)
            self._log.warning("scanner failed", problem=problem, address=str(self._address))
        SCANS.labels(self._name, "failed").inc()
        is_outage = self._outage.lasts(identity, now, self._patience)
        return ScanFailedError(problem, is_outage=is_outage)


class SpamScanner:
    """spamd or Rspamd, as the settings say; `engine` is not ``none``."""

    def __init__(self, settings: SpamSettings, outage: Outage, log: FilteringBoundLogger) -> None:
        self.settings = settings
        self._turns: ScannerTurns[spamc.SpamdAnswer | ScanResult] = ScannerTurns(
            SPAM,
            settings.address,
            settings.timeout,
            settings.max_scans,
            settings.unchecked_after,
            outage,
            log,
        )
        self._shared = SharedScans(settings.share_for)
        self.password = read_password(settings)
        self._folders: UserFolders | None = None
        if settings.users_folder is not None:
            self._folders = UserFolders(settings.users_folder, log)

    def prepare(self, user: str, wishes: ScanWishes) -> str:
        """Write the preferences for a scan by spamd, and return the user to name."""
        return user if self._folders is None else self._folders.prepare(user, wishes)

    async def scan(
        self,
        copy: ScannerCopy,
        identity: str,
        user: str,
        wishes: ScanWishes,
        question: RspamdQuestion,
    ) -> ScanResult:
        """Return the result for a user with data of their own, or for all others if it is empty.

        `wishes` are the preferences that the scanner follows, and `identity` is that of the
        message. Raises `ScanFailedError`.
        """
        if self.settings.engine == "rspamd":
            question = question._replace(
                recipient=user, password=self.password, scores=wishes.rule_scores
            )
            head = rspamd.check_request(question, copy.size)
            asked: object = question
        else:
            user = self.prepare(user, wishes)
            head = spamc.symbols_request(user, copy.size)
            asked = head
        is_shared = self._shared.is_on
        key = SharedScanKey.of(identity, user, asked, copy.parts()) if is_shared else None
        return await self._shared.result(key, lambda: self._scan(copy, identity, head))

    async def _scan(self, copy: ScannerCopy, identity: str, head: bytes) -> ScanResult:
        parts = _request(head, copy)
        answer: spamc.SpamdAnswer | ScanResult
        if self.settings.engine == "rspamd":
            answer = await self._turns.scan(identity, parts, rspamd.RspamdReader())
        else:
            answer = await self._turns.scan(identity, parts, spamc.SpamdReader())
        try:
            result = answer if isinstance(answer, ScanResult) else answer.scan_result()
        except PeerError as error:
            raise self._turns.failed(identity, str(error)) from None
        if result.must_wait:
            raise self._turns.waits(identity)
        self._turns.succeeded(identity)
        return result


class VirusScanner:
    """clamd."""

    def __init__(self, settings: VirusSettings, outage: Outage, log: FilteringBoundLogger) -> None:
        self.settings = settings
        self._turns: ScannerTurns[VirusResult] = ScannerTurns(
            VIRUS,
            settings.address,
            settings.timeout,
            settings.max_scans,
            settings.unchecked_after,
            outage,
            log,
        )

    async def scan(self, copy: ScannerCopy, identity: str) -> str:
        """Return the name of a virus, or an empty text; raises `ScanFailedError`."""
        stream = ClamdStream(copy.parts())
        result = await self._turns.scan(identity, stream, ClamdReader(stream))
        self._turns.succeeded(identity)
        return result.virus


def _request(head: bytes, copy: ScannerCopy) -> Iterator[bytes]:
    return gathered(chain((head,), copy.parts()))


def read_password(settings: SpamSettings) -> str:
    """Return the password of Rspamd's controller, or an empty text; raises `StartError`."""
    if settings.password_file is None:
        return ""
    try:
        password = settings.password_file.read_text("ascii")
        rspamd.check_request(RspamdQuestion(password=password), 0)
    except (OSError, ValueError) as error:
        raise StartError(f"delivery.spam.password_file: {error}") from None
    return password
