"""Answers to the recipients of one message: in their order, each as soon as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from delivery.counts import REASONS_GIVEN, RECIPIENTS
from delivery.journal import RecipientNote
from delivery.protocols.store_reply import StoreReply
from delivery.reasons import refusal


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """Facts about the delivery to a recipient, for the log.

    `verdict` is one of `delivery.decision.SpamVerdict`, ``unscanned`` if there is no scanner, or
    ``quarantined``.
    """

    verdict: str
    cause: str = ""
    score: float | None = None
    threshold: float | None = None
    tests: tuple[str, ...] = ()
    store: str = ""
    virus: str = ""


_REFUSED = RecipientOutcome("deferred")


class RecipientAnswers:
    """Replies by the number of the recipient; each recipient gets one, and a log line.

    `clock` returns seconds; the log line has the time since this object was made. `note` writes to
    the journal.
    """

    def __init__(
        self,
        recipients: tuple[str, ...],
        log: FilteringBoundLogger,
        clock: Callable[[], float],
        note: RecipientNote | None = None,
    ) -> None:
        self._note = note
        self._recipients = recipients
        self._log = log
        self._clock = clock
        self._begun = clock()
        self._replies: list[StoreReply | None] = [None] * len(recipients)
        self._news = asyncio.Event()

    @property
    def replies(self) -> Sequence[StoreReply | None]:
        """Return the replies by the number of the recipient; None for one without."""
        return tuple(self._replies)

    @property
    def missing(self) -> list[int]:
        """Return the recipients without a reply."""
        return [number for number, reply in enumerate(self._replies) if reply is None]

    def give(
        self,
        number: int,
        reply: StoreReply,
        outcome: RecipientOutcome,
        reason: str = "",
        problem: str = "",
    ) -> None:
        """Answer a recipient; a second answer is ignored."""
        if self._replies[number] is not None:
            return
        self._replies[number] = reply
        self._news.set()
        RECIPIENTS.labels(outcome.verdict, f"{reply.code // 100}xx").inc()
        if reason:
            REASONS_GIVEN.labels(reason).inc()
        facts = {
            "cause": outcome.cause,
            "virus": outcome.virus,
            "store": outcome.store,
            "tests": ",".join(outcome.tests),
            "reason": reason,
            "problem": problem,
        }
        shown: dict[str, object] = {name: text for name, text in facts.items() if text}
        for name, value in (("score", outcome.score), ("threshold", outcome.threshold)):
            if value is not None:
                shown[name] = round(value, 2)
        event = "delivered" if reply.is_success else "not delivered"
        self._log.info(
            event,
            recipient=self._recipients[number],
            verdict=outcome.verdict,
            reply=str(reply),
            seconds=round(self._clock() - self._begun, 3),
            **shown,
        )
        if self._note is not None:
            texts = {name: str(value) for name, value in shown.items() if name != "reason"}
            self._note(
                self._recipients[number], reply, reason, {"verdict": outcome.verdict, **texts}
            )

    def refuse(
        self,
        numbers: Iterable[int],
        reason: str,
        problem: str = "",
        outcome: RecipientOutcome = _REFUSED,
        *,
        virus: str = "",
    ) -> None:
        """Answer recipients with a refusal of ours."""
        if virus:
            outcome = RecipientOutcome("quarantined", virus=virus)
        for number in numbers:
            self.give(number, refusal(reason), outcome, reason, problem)

    async def in_order(self) -> AsyncIterator[bytes]:
        """Yield the replies in the order of the recipients, as many at once as are there."""
        number = 0
        while number < len(self._replies):
            ready = bytearray()
            while number < len(self._replies) and (reply := self._replies[number]) is not None:
                ready += bytes(reply)
                number += 1
            if ready:
                yield bytes(ready)
                continue
            self._news.clear()
            await self._news.wait()
