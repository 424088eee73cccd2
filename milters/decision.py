"""Decisions about messages for the connections of one worker: configuration, DNS, clock and log."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from structlog.typing import FilteringBoundLogger

from gatepost.dns import AsyncResolver
from gatepost.journal.sender import JournalSender
from gatepost.reply import Reply
from gatepost.shortage import DEFERRED, is_shortage
from milters.actions import MessageAction
from milters.content import MessageContent
from milters.journal import journal_record
from milters.outcome import MessageOutcome
from milters.report import FAILURES, REASONS, report
from milters.rules import Rules
from milters.session import Session
from milters.virus import AWAY, VirusFinding, apply_finding
from milters.virus_scanner import MilterVirusScanner
from milters.virus_settings import VirusScanSettings
from msgauth.dmarc import RESERVED
from msgauth.drive import Pending, asolve, begin

MessageAnswer: TypeAlias = Sequence[MessageAction] | Reply
"""The answer to the MTA for a message; a reply if an error of ours defers it."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A configuration prepared for use in a running process."""

    rules: Rules
    resolver: AsyncResolver
    virus: MilterVirusScanner | None = None


class _Scan(NamedTuple):
    """A scan for viruses that is due; `scanner` is None if a reload has removed it."""

    content: MessageContent
    settings: VirusScanSettings
    scanner: MilterVirusScanner | None

    async def apply(self, outcome: MessageOutcome) -> MessageOutcome:
        """Scan the message, and return its outcome."""
        finding = VirusFinding(reason=AWAY, problem="a new configuration has no scanner")
        if self.scanner is not None:
            finding = await self.scanner.scan(self.content)
        return apply_finding(outcome, finding, self.settings.on_error)


class Decisions:
    """Decides messages one after the other, or several while they wait for DNS or clamd."""

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        log: FilteringBoundLogger,
        journal: JournalSender | None = None,
    ) -> None:
        self._runtime = runtime
        self._journal = journal if journal is not None and journal.is_wanted else None
        self._log = log
        self._waiting: set[asyncio.Task[None]] = set()

    @property
    def rules(self) -> Rules:
        """The rules for a message that begins now."""
        return self._runtime().rules

    def decide(
        self, session: Session, queue_id: str, done: Callable[[MessageAnswer], None]
    ) -> MessageAnswer | None:
        """Decide the message that has just ended.

        Returns the result at once if the cache can answer all DNS queries and no scan is due;
        otherwise None, and `done` gets the result later, within the time limits of the message.
        """
        began = time.monotonic()
        try:
            budget = session.dns_budget
            runtime = self._runtime()
            scan: _Scan | None = None
            if (content := session.end_content()) is not None:
                scan = _Scan(content, session.virus_settings, runtime.virus)
            lookup = session.end_of_message(int(time.time()))
            resolver = runtime.resolver
            outcome = begin(lookup, resolver.known)
            if not isinstance(outcome, Pending) and (scan is None or outcome.is_refused):
                return self._decided(session, outcome, queue_id, began)
        except Exception:
            return self.failed(session)
        work = self._ask(session, outcome, resolver, budget, scan, queue_id, began, done)
        task = asyncio.get_running_loop().create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return None

    async def _ask(
        self,
        session: Session,
        outcome: MessageOutcome | Pending[MessageOutcome],
        resolver: AsyncResolver,
        budget: float,
        scan: _Scan | None,
        queue_id: str,
        began: float,
        done: Callable[[MessageAnswer], None],
    ) -> None:
        result: MessageAnswer = DEFERRED
        try:
            try:
                if isinstance(outcome, Pending):
                    outcome = await asolve(outcome.rest, resolver.within(budget, RESERVED))
                if scan is not None and not outcome.is_refused:
                    outcome = await scan.apply(outcome)
                result = self._decided(session, outcome, queue_id, began)
            except Exception:
                result = self.failed(session)
        finally:
            if scan is not None:
                scan.content.close()
            done(result)  # in any case: the connection waits for it and for nothing else

    def _decided(
        self, session: Session, outcome: MessageOutcome, queue_id: str, began: float
    ) -> Sequence[MessageAction]:
        seconds = time.monotonic() - began
        # the MTA gets its answer before anything is counted and logged
        loop = asyncio.get_running_loop()
        loop.call_soon(self._report, session, outcome, queue_id, seconds)
        return outcome.actions

    def _report(
        self, session: Session, outcome: MessageOutcome, queue_id: str, seconds: float
    ) -> None:
        try:
            report(self._log, queue_id, outcome, seconds)
            if self._journal is not None:
                self._journal.add(journal_record(queue_id, outcome, time.time()))
        except Exception:
            self._log.error(
                "bug in Gatepost, a decision is not in the log",
                queue_id=queue_id,
                client=session.client_text,
                exception=traceback.format_exc(),
            )

    def failed(self, session: Session) -> Reply:
        """Log the exception being handled and defer the message: mail is never accepted unchecked.

        A bug is logged under an id that the reply shows.
        """
        FAILURES.inc()
        error = sys.exception()
        if error is not None and is_shortage(error):
            REASONS.labels("defer", DEFERRED.reason).inc()
            self._log.error(
                "out of resources, message deferred",
                reason=DEFERRED.reason,
                client=session.client_text,
                error=str(error),
            )
            return DEFERRED
        trace = secrets.token_hex(4)
        self._log.error(
            "bug in Gatepost, message deferred",
            trace=trace,
            client=session.client_text,
            exception=traceback.format_exc(),
        )
        return Reply(451, "4.7.1", f"internal error {trace}, please try again", "internal-error")
