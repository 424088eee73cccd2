"""Decisions of a worker: the answer comes first, and what is told of it never harms it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gatepost.dns import AsyncResolver
from gatepost.logs import get_logger
from milters import decision
from milters.decision import Decisions, MessageAnswer, Runtime
from milters.session import Session
from msgauth.ask import TEMPFAIL, Answer, Question
from tests.unit.milters.mail import rules


class NoDns:
    """A resolver that nothing is asked of."""

    known = None


def decided() -> tuple[MessageAnswer | None, list[Any]]:
    """One message of ours: its result, and the log lines at that moment and behind it."""
    lines: list[Any] = []

    async def play() -> MessageAnswer | None:
        current = Runtime(rules(), cast(AsyncResolver, NoDns()))
        decisions = Decisions(lambda: current, get_logger("milters"))
        session = Session(lambda: current.rules)
        session.connect("localhost", None)
        session.mail_from(b"<a@example.org>", "", "")
        session.header(b"From", b" a@example.org")
        session.end_of_headers()
        with capture_logs() as seen:
            result = decisions.decide(session, "4ABC", lambda _: pytest.fail("it needs no DNS"))
            lines.append(list(seen))
            await asyncio.sleep(0)
            lines.append(list(seen))
        return result

    return asyncio.run(play()), lines


def test_a_message_is_answered_before_its_line_is_written() -> None:
    result, (before, after) = decided()
    assert result == ()
    assert before == []
    (line,) = after
    assert (line["event"], line["queue_id"], line["action"]) == ("message", "4ABC", "accept")


def test_an_answer_that_cannot_be_told_of_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(decision, "report", broken)
    result, (_, after) = decided()
    assert result == ()
    (line,) = after
    assert line["event"] == "bug in Gatepost, a decision is not in the log"
    assert line["queue_id"] == "4ABC"
    assert "a mistake of ours" in line["exception"]


class SlowDns:
    """A resolver that knows nothing yet, and notes how long it may take."""

    def __init__(self) -> None:
        self.budgets: list[float] = []

    def known(self, question: Question) -> Answer | None:
        return None

    def within(self, seconds: float, reserved: float) -> Callable[[Question], Awaitable[Answer]]:
        self.budgets.append(seconds)
        assert 0 < reserved < 1

        async def answer(question: Question) -> Answer:
            return TEMPFAIL

        return answer


def test_all_dns_of_a_message_shares_its_budget() -> None:
    dns = SlowDns()

    async def play() -> list[MessageAnswer]:
        current = Runtime(rules({"verify": {"dns_budget": "7s"}}), cast(AsyncResolver, dns))
        decisions = Decisions(lambda: current, get_logger("milters"))
        session = Session(lambda: current.rules)
        session.connect("unknown", "192.0.2.1")
        session.mail_from(b"<a@example.org>", "", "")
        session.header(b"From", b" a@example.org")
        session.end_of_headers()
        results: list[MessageAnswer] = []
        assert decisions.decide(session, "4ABC", results.append) is None
        while not results:
            await asyncio.sleep(0)
        return results

    assert len(asyncio.run(play())) == 1
    assert dns.budgets == [7.0]
