"""Record of an answer to Postfix for the journal of accounts."""

from __future__ import annotations

import asyncio

import pytest

from gatepost.journal.record import decode, encode
from policyd.action import DUNNO, Action
from policyd.engine import Decision, Engine
from policyd.journal import journal_record
from tests.unit.policyd.requests import request


def test_a_request_becomes_a_record() -> None:
    asked = request(queue_id="4Q1", sasl_username="bob")
    record = journal_record(asked, asyncio.run(Engine([]).decide(asked)), 2.5)
    assert decode(encode(record)) == record
    assert (record.at, record.daemon, record.action) == (2.5, "policyd", "pass")
    assert (record.client, record.client_name) == ("192.0.2.7", "mx1.example.net")
    assert (record.sender, record.recipients) == ("alice@example.net", ("bob@example.org",))
    assert (record.queue_id, record.login) == ("4Q1", "bob")
    assert record.instance == "1a2b.6560a1b2.3c4d5.0"
    assert "state" not in record.details
    assert journal_record(request(recipient=""), Decision(), 1.0).recipients == ()


@pytest.mark.parametrize(
    ("action", "effect"),
    [
        (DUNNO, "pass"),
        (Action("DEFER_IF_PERMIT", "4.2.0 x"), "defer"),
        (Action("451", "4.3.0 x"), "defer"),
        (Action("554", "5.7.1 x"), "reject"),
        (Action("REJECT"), "reject"),
        (Action("HOLD", "x"), "hold"),
        (Action("DISCARD"), "discard"),
        (Action("REDIRECT", "x@example.org"), "redirect"),
        (Action("PREPEND", "X: y"), "pass"),
    ],
)
def test_each_action_has_an_effect(action: Action, effect: str) -> None:
    decision = Decision()
    decision.action = action
    assert journal_record(request(protocol_state="DATA"), decision, 1.0).action == effect
