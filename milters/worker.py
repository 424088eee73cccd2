"""What the connections of one worker share: configuration, DNS, clock, log, and a count of what
is under way."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from gatepost.dns import Resolver, solve
from gatepost.reply import Reply
from milters.actions import Action
from milters.report import FAILURES, report
from milters.rules import Rules
from milters.session import Session
from milters.under_way import UnderWay


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a configuration amounts to in a running process."""

    rules: Rules
    resolver: Resolver


class Worker:
    """Decides messages for the connections of this process; safe for threads."""

    def __init__(self, runtime: Callable[[], Runtime], log: FilteringBoundLogger) -> None:
        self._runtime = runtime
        self._log = log
        self.under_way = UnderWay()

    @property
    def rules(self) -> Rules:
        """The rules for a message that begins now."""
        return self._runtime().rules

    def decide(self, session: Session, queue_id: str) -> tuple[Action, ...]:
        """Decide the message that has just ended, asking DNS within its budget."""
        began = time.monotonic()
        resolve = self._runtime().resolver.within(session.dns_budget)
        outcome = solve(session.end_of_message(int(time.time())), resolve)
        report(self._log, queue_id, outcome, time.monotonic() - began)
        return outcome.actions

    def failed(self, session: Session) -> Reply:
        """Log the exception being handled, under an id that the reply shows; defer the message."""
        FAILURES.inc()
        trace = secrets.token_hex(4)
        self._log.error(
            "error in Gatepost, the message is deferred",
            trace=trace,
            client=session.client_text,
            exception=traceback.format_exc(),
        )
        # never accept what was not checked: the client keeps the message and tries again
        return Reply(451, "4.7.1", f"internal error {trace}, please try again", "internal-error")
