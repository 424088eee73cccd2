"""Limits, over a store in memory with a clock to turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from policyd.checks.limits import LimitsCheck
from policyd.settings import LimitsSettings
from policyd.stores import Change, StoreError, T
from policyd.stores.memory import MemoryStore
from tests.unit.policyd.requests import request
from tests.unit.policyd.store_suite import Clock


class Gate:
    def __init__(self, *rules: dict[str, Any], **settings: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        self.check = LimitsCheck(
            LimitsSettings.model_validate({"rules": rules, **settings}),
            self.store,
            "mx.example.org",
            self.clock,
        )

    def ask(self, wait: float = 0, /, **attributes: str) -> str:
        """The action (empty for none) of a request that comes `wait` seconds after the last."""
        self.clock.now += wait
        outcome = asyncio.run(self.check.check(request(**attributes)))
        return str(outcome.action) if outcome and outcome.action else ""


def rule(**settings: Any) -> dict[str, Any]:
    return {"name": "out", "per": "user", "count": "recipients", "limit": 3, **settings}


ALICE = {"sasl_username": "Alice"}


def test_recipients_of_a_user() -> None:
    gate = Gate(rule())
    assert [gate.ask(**ALICE) for _ in range(3)] == ["", "", ""]
    assert gate.ask(**ALICE) == ("450 4.7.1 Too much mail, try again in 1201 seconds [limit-out]")
    assert gate.ask(sasl_username="bob") == ""
    assert gate.ask() == ""  # a stranger has no login
    assert gate.ask(1200, sasl_username="ALICE") == ""
    assert gate.ask(**ALICE) != ""


def test_a_clock_that_was_set_back_holds_nobody_up() -> None:
    """By a day: without more, the limit of an hour would hold for that day."""
    gate = Gate(rule(period="1h"))
    assert [gate.ask(**ALICE) for _ in range(4)][2:] == [
        "",
        "450 4.7.1 Too much mail, try again in 1201 seconds [limit-out]",
    ]
    assert gate.ask(-86400, **ALICE).startswith("450")
    assert gate.ask(1200, **ALICE) == ""
    assert gate.ask(**ALICE).startswith("450")


def test_messages_count_once_whatever_their_recipients() -> None:
    gate = Gate(rule(count="messages", limit=2))
    for n in range(5):
        assert gate.ask(instance="1", recipient=f"{n}@example.org", **ALICE) == ""
    assert gate.ask(instance="2", **ALICE) == ""
    assert gate.ask(instance="3", **ALICE).startswith("450")
    # a message that was let in is let in with all of its recipients
    assert gate.ask(instance="2", recipient="last@example.org", **ALICE) == ""


def test_distinct_recipients() -> None:
    gate = Gate(rule(count="distinct_recipients", limit=2, period="1d"))
    for _ in range(3):
        assert gate.ask(recipient="a@example.org", **ALICE) == ""
        assert gate.ask(recipient="B@example.org", **ALICE) == ""
    assert gate.ask(recipient="c@example.org", **ALICE).startswith("450")
    assert gate.ask(recipient="b@example.org", **ALICE) == ""


def test_bytes_at_the_end_of_the_message() -> None:
    gate = Gate(rule(count="bytes", limit="1K"))
    end = {"protocol_state": "END-OF-MESSAGE", **ALICE}
    assert gate.ask(size="600", **ALICE) == ""  # RCPT: announced, not sent
    assert gate.ask(size="600", **end) == ""
    assert gate.ask(size="600", **end).startswith("450")
    assert gate.ask(size="400", **end) == ""


def test_recipients_at_the_end_of_the_message() -> None:
    gate = Gate(rule(at="END-OF-MESSAGE", limit=10))
    end = {"protocol_state": "END-OF-MESSAGE", **ALICE}
    assert gate.ask(recipient_count="8", **end) == ""
    assert gate.ask(recipient_count="3", **end).startswith("450")
    assert gate.ask(**ALICE) == ""


@pytest.mark.parametrize(
    ("per", "same", "other"),
    [
        ("client", {"client_address": "192.0.2.7"}, {"client_address": "192.0.2.8"}),
        ("network", {"client_address": "192.0.2.9"}, {"client_address": "192.0.3.7"}),
        ("sender", {"sender": "ALICE@example.net"}, {"sender": "bob@example.net"}),
        ("sender_domain", {"sender": "bob@example.net"}, {"sender": "a@example.com"}),
        ("recipient", {"recipient": "BOB@example.org"}, {"recipient": "a@example.org"}),
    ],
)
def test_per(per: str, same: dict[str, str], other: dict[str, str]) -> None:
    gate = Gate(rule(per=per, limit=1))
    assert gate.ask() == ""
    assert gate.ask(**same).startswith("450")
    assert gate.ask(**other) == ""


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("hold", "HOLD limit-out: alice"),
        ("defer", "450 4.7.1 "),
        ("reject", "554 5.7.1 "),
    ],
)
def test_actions(action: str, answer: str) -> None:
    gate = Gate(rule(limit=1, action=action))
    assert gate.ask(**ALICE) == ""
    assert gate.ask(**ALICE).startswith(answer)


def test_exceptions() -> None:
    gate = Gate(rule(limit=1, exempt=["robot"], overrides={"alice": 2}))
    assert [gate.ask(sasl_username="robot") for _ in range(9)] == [""] * 9
    assert [bool(gate.ask(**ALICE)) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("per", "whom", "who"),
    [
        ("user", "Alice", {"sasl_username": "aLICE"}),
        ("sender", "Bob@Example.net", {"sender": "bob@example.net"}),
        ("sender_domain", "Example.NET", {"sender": "bob@example.net"}),
        ("sender_domain", "bücher.example", {"sender": "bob@xn--bcher-kva.example"}),
        ("sender_domain", "xn--bcher-kva.example", {"sender": "bob@bücher.example."}),
        ("sender_domain", "[192.0.2.7]", {"sender": "bob@[192.0.2.7]"}),
        ("recipient", "Bob@example.org", {"recipient": "bob@example.org"}),
        ("client", "2001:DB8::0:7", {"client_address": "2001:db8::7"}),
        ("network", "2001:db8::/64", {"client_address": "2001:db8::7"}),
        ("network", "192.0.2.0/24", {"client_address": "192.0.2.7"}),
        ("network", "192.0.2.9", {"client_address": "192.0.2.7"}),
    ],
)
def test_exceptions_in_any_spelling(per: str, whom: str, who: dict[str, str]) -> None:
    gate = Gate(rule(per=per, limit=1, exempt=[whom]))
    assert [gate.ask(**who) for _ in range(3)] == [""] * 3
    gate = Gate(rule(per=per, limit=1, overrides={whom: 2}))
    assert [bool(gate.ask(**who)) for _ in range(3)] == [False, False, True]


def test_an_exception_in_bytes() -> None:
    gate = Gate(rule(count="bytes", limit="1K", overrides={"alice": "2K"}))
    end = {"protocol_state": "END-OF-MESSAGE", "size": "1500"}
    assert gate.ask(**ALICE, **end) == ""
    assert gate.ask(sasl_username="bob", **end).startswith("450")


def test_what_is_refused_costs_nothing_under_other_rules() -> None:
    gate = Gate(
        rule(name="few", per="sender", limit=1),
        rule(name="many", limit=3),
    )
    assert gate.ask(sender="a@example.net", **ALICE) == ""
    for _ in range(20):
        assert "limit-few" in gate.ask(sender="a@example.net", **ALICE)
    assert gate.ask(sender="b@example.net", **ALICE) == ""
    assert gate.ask(sender="c@example.net", **ALICE) == ""
    assert "limit-many" in gate.ask(sender="d@example.net", **ALICE)


def test_the_strictest_of_two_exceeded_rules_answers() -> None:
    gate = Gate(
        rule(name="soft", limit=1, action="hold"), rule(name="hard", limit=1, action="reject")
    )
    assert gate.ask(**ALICE) == ""
    assert gate.ask(**ALICE).startswith("554 5.7.1")


def test_the_text() -> None:
    gate = Gate(rule(limit=1), text="{rule} {key} {limit} {user} {hostname}")
    gate.ask(**ALICE)
    assert gate.ask(**ALICE) == "450 4.7.1 out alice 1 Alice mx.example.org [limit-out]"


def test_a_store_that_fails_is_for_the_failure_mode() -> None:
    class Down(MemoryStore):
        def update(self, keys: Sequence[str], change: Change[T]) -> asyncio.Future[T]:
            raise StoreError("down")

    settings = LimitsSettings.model_validate({"rules": [rule()]})
    with pytest.raises(StoreError):
        asyncio.run(LimitsCheck(settings, Down(), "mx").check(request(**ALICE)))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "Two Words"}, "small letters"),
        ({"limit": 0}, "greater than 0"),
        ({"limit": "lots"}, "not a size"),
        ({"count": "bytes", "at": "RCPT"}, "END-OF-MESSAGE"),
        ({"count": "distinct_recipients", "at": "DATA"}, "RCPT"),
        ({"per": "recipient", "at": "DATA"}, "RCPT"),
        ({"overrides": {"alice": 0}}, "greater than 0"),
        ({"per": "client", "exempt": ["192.0.2.0/24"]}, "not an address"),
        ({"per": "network", "overrides": {"192.0.0.0/16": 5}}, "not a network of /24"),
    ],
)
def test_rules_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        LimitsSettings.model_validate({"rules": [rule(**wrong)]})


def test_two_rules_of_one_name() -> None:
    with pytest.raises(ValidationError, match="same name"):
        LimitsSettings.model_validate({"rules": [rule(), rule()]})
