"""Decisions about messages for the connections of one worker: configuration, DNS, clock and log."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from gatepost.dns import AsyncResolver
from gatepost.reply import Reply
from gatepost.shortage import DEFERRED, is_shortage
from milters.actions import MessageAction
from milters.outcome import MessageOutcome
from milters.report import FAILURES, REASONS, report
from milters.rules import Rules
from milters.session import Session
from msgauth.ask import Lookup
from msgauth.dmarc import RESERVED
from msgauth.drive import Pending, asolve, begin

MessageAnswer: TypeAlias = Sequence[MessageAction] | Reply
"""The answer to the MTA for a message; a reply if an error of ours defers it."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A configuration prepared for use in a running process."""

    rules: Rules
    resolver: AsyncResolver


class Decisions:
    """Decides messages one after the other, or several at a time while they wait for DNS."""

    def __init__(self, runtime: Callable[[], Runtime], log: FilteringBoundLogger) -> None:
        self._runtime = runtime
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

        Returns the result at once if the cache can answer all DNS queries; otherwise None, and
        `done` gets the result later, within the DNS budget of the message.
        """
        began = time.monotonic()
        try:
            budget = session.dns_budget
            lookup = session.end_of_message(int(time.time()))
            resolver = self._runtime().resolver
            outcome = begin(lookup, resolver.known)
            if not isinstance(outcome, Pending):
                return self._decided(session, outcome, queue_id, began)
        except Exception:
            return self.failed(session)
        work = self._ask(session, outcome.rest, resolver, budget, queue_id, began, done)
        task = asyncio.get_running_loop().create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return None

    async def _ask(
        self,
        session: Session,
        rest: Lookup[MessageOutcome],
        resolver: AsyncResolver,
        budget: float,
        queue_id: str,
        began: float,
        done: Callable[[MessageAnswer], None],
    ) -> None:
        result: MessageAnswer = DEFERRED
        try:
            try:
                outcome = await asolve(rest, resolver.within(budget, RESERVED))
                result = self._decided(session, outcome, queue_id, began)
            except Exception:
                result = self.failed(session)
        finally:
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
