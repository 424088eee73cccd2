"""The check of the client: host name, HELO, sender domain, SPF."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest
from pydantic import ValidationError

from gatepost.dns import Zone
from gatepost.shortage import ShortageError
from msgauth.ask import TEMPFAIL, Answer, Question
from policyd.checks import CheckResult
from policyd.checks.client import ClientCheck
from policyd.checks.spf import FAILURES_TO_PAUSE, PAUSE, Spf, listed_identity
from policyd.errors import CheckError
from policyd.facts import NO_FACTS, Facts
from policyd.request import Request
from policyd.settings import ClientSettings
from tests.unit.policyd.requests import request

ZONE = Zone.parse("""
["7.2.0.192.in-addr.arpa"]
PTR = "mx1.example.net"
["mx1.example.net"]
A = "192.0.2.7"
["example.net"]
TXT = "v=spf1 ip4:192.0.2.0/24 -all"
MX = "10 mx1.example.net"
["soft.example"]
TXT = "v=spf1 ~all"
A = "192.0.2.80"
["null.example"]
MX = "0 ."
["empty.example"]
TXT = "nothing"
["broken.example"]
rcode = "tempfail"
["9.2.0.192.in-addr.arpa"]
rcode = "tempfail"
""")


class Resolver:
    def __init__(self) -> None:
        self.asked = 0
        self.silent = False

    def within(self, seconds: float) -> Callable[[Question], Awaitable[Answer]]:
        assert seconds > 0

        async def resolve(question: Question) -> Answer:
            self.asked += 1
            await asyncio.sleep(0)
            return TEMPFAIL if self.silent else ZONE.resolve(question)

        return resolve


def make(settings: dict[str, Any]) -> tuple[ClientCheck, Resolver]:
    resolver = Resolver()
    spf = Spf(resolver, "mx.example.org", 3.0)
    checked = ClientSettings.model_validate(settings)
    return ClientCheck(checked, resolver, spf, "mx.example.org"), resolver


def ask(settings: dict[str, Any], asked: Request) -> CheckResult | None:
    return asyncio.run(make(settings)[0].check(asked))


CASES = [
    ("no_name", {"client_name": "unknown", "client_address": "192.0.2.8"}, "no-name", "7.25"),
    ("generic_name", {"client_name": "h-192-0-2-7.isp.example"}, "generic-name", "7.25"),
    ("helo_forged", {"helo_name": "mx.example.org"}, "helo-forged", "7.1"),
    ("helo_forged", {"helo_name": "[198.51.100.25]"}, "helo-forged", "7.1"),
    ("helo_malformed", {"helo_name": "192.0.2.7"}, "helo-malformed", "5.2"),
    ("helo_malformed", {"helo_name": "[192.0.2.99]"}, "helo-malformed", "5.2"),
    ("helo_unqualified", {"helo_name": "localhost"}, "helo-unqualified", "5.2"),
    ("sender_unknown", {"sender": "a@nowhere.example"}, "sender-unknown", "7.1"),
    ("sender_unknown", {"sender": "a@empty.example"}, "sender-unknown", "7.1"),
    ("sender_unknown", {"sender": "a@null.example"}, "sender-null-mx", "7.27"),
    ("spf_fail", {"client_address": "203.0.113.1"}, "spf-fail", "7.23"),
    ("spf_softfail", {"sender": "a@soft.example"}, "spf-softfail", "7.23"),
]


@pytest.mark.parametrize(("rule", "attributes", "reason", "code"), CASES)
def test_each_rule_rejects_defers_notes_or_is_off(
    rule: str, attributes: dict[str, str], reason: str, code: str
) -> None:
    rejected = ask({rule: "reject"}, request(**attributes))
    assert rejected is not None
    assert str(rejected.action).startswith(f"550 5.{code} ")
    assert str(rejected.action).endswith(f" [{reason}]")
    assert rejected.reason == reason
    deferred = ask({rule: "defer"}, request(**attributes))
    assert deferred is not None
    assert str(deferred.action).startswith(f"450 4.{code} ")
    outcome = ask({rule: "note"}, request(**attributes))
    assert outcome == CheckResult("noted", detail=reason, facts=Facts(signals=(reason,)))
    assert ask({rule: "off"}, request(**attributes)) is None


@pytest.mark.parametrize("rule", sorted({case[0] for case in CASES}))
def test_a_good_client_breaks_no_rule(rule: str) -> None:
    assert ask({rule: "reject"}, request()) is None


def test_who_logged_in_or_is_exempt_is_not_judged() -> None:
    bad = {"helo_name": "localhost"}
    strict = {"helo_unqualified": "reject"}
    assert ask(strict, request(sasl_username="alice", **bad)) is None
    assert ask(strict, request(client_address="unknown", **bad)) is None
    exempt = ask({**strict, "exempt_networks": ["192.0.2.0/24"]}, request(**bad))
    assert exempt == CheckResult("exempt")


def test_before_mail_is_refused_for_want_of_a_name_we_look_ourselves() -> None:
    nameless = {"client_name": "unknown"}
    assert ask({"no_name": "reject"}, request(**nameless)) is None
    with pytest.raises(CheckError):
        ask({"no_name": "reject"}, request(client_address="192.0.2.9", **nameless))
    client, resolver = make({"no_name": "note"})
    assert asyncio.run(client.check(request(**nameless))) is not None
    assert resolver.asked == 0


@pytest.mark.parametrize("rule", ["sender_unknown", "spf_fail"])
def test_no_answer_of_dns_is_no_verdict(rule: str) -> None:
    asked = {"sender": "a@broken.example"}
    with pytest.raises(CheckError):
        ask({rule: "reject"}, request(**asked))
    assert ask({rule: "note"}, request(**asked)) is None


def test_a_note_before_a_failure_is_passed_on() -> None:
    settings = {"helo_unqualified": "note", "sender_unknown": "reject"}
    with pytest.raises(CheckError) as failed:
        ask(settings, request(helo_name="localhost", sender="a@broken.example"))
    assert failed.value.facts == Facts(signals=("helo-unqualified",))


def test_a_note_before_a_shortage_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    client, resolver = make({"helo_unqualified": "note", "sender_unknown": "reject"})

    def within(_seconds: float) -> NoReturn:
        raise ShortageError("too many open files")

    monkeypatch.setattr(resolver, "within", within)
    with pytest.raises(ShortageError) as failed:
        asyncio.run(client.check(request(helo_name="localhost")))
    assert isinstance(failed.value, CheckError)
    assert failed.value.facts == Facts(signals=("helo-unqualified",))


def test_sender_rules_wait_for_a_sender() -> None:
    for state in ("CONNECT", "EHLO"):
        assert ask({"sender_unknown": "reject"}, request(protocol_state=state, sender="")) is None
    assert ask({"sender_unknown": "reject"}, request(sender="")) is None
    for literal in ("[192.0.2.7]", "[IPv6:2001:db8::7]"):
        assert ask({"sender_unknown": "reject"}, request(sender=f"a@{literal}")) is None
    assert (
        ask({"helo_unqualified": "reject"}, request(protocol_state="CONNECT", helo_name="")) is None
    )


def test_all_notes_are_taken_and_the_first_refusal_counts() -> None:
    odd = {"helo_name": "localhost", "client_name": "h-192-0-2-7.isp.example"}
    outcome = ask({"helo_unqualified": "note", "generic_name": "note"}, request(**odd))
    signals = Facts(signals=("helo-unqualified", "generic-name"))
    assert outcome == CheckResult("noted", detail="helo-unqualified, generic-name", facts=signals)
    both = ask({"helo_unqualified": "note", "generic_name": "reject"}, request(**odd))
    assert both is not None
    assert both.reason == "generic-name"
    # in dry run it goes on to greylisting, which may look only at odd clients
    assert both.facts == signals


def test_the_text_is_the_administrators() -> None:
    text = "{problem} ({helo}), see https://{hostname}/"
    outcome = ask({"helo_unqualified": "reject", "text": text}, request(helo_name="pc"))
    assert outcome is not None
    assert str(outcome.action) == (
        "550 5.5.2 HELO: a fully qualified name is required (pc), see https://mx.example.org/ "
        "[helo-unqualified]"
    )
    with pytest.raises(ValidationError, match="not a field of this text"):
        ClientSettings.model_validate({"text": "{user}"})


def test_spf_is_evaluated_once_for_all_recipients() -> None:
    async def scene() -> None:
        resolver = Resolver()
        spf = Spf(resolver, "mx.example.org", 3.0)
        assert await spf.identity(request(recipient="a@example.org")) == "spf:example.net"
        asked = resolver.asked
        assert await spf.identity(request(recipient="b@example.org")) == "spf:example.net"
        assert resolver.asked == asked
        assert await spf.identity(request(client_address="203.0.113.1")) == ""
        assert await spf.identity(request(client_address="unknown")) == ""

    asyncio.run(scene())


def test_spf_pauses_while_dns_is_silent() -> None:
    async def scene() -> None:
        now = 1000.0
        resolver = Resolver()
        resolver.silent = True
        spf = Spf(resolver, "mx.example.org", 3.0, monotonic=lambda: now)
        for _ in range(FAILURES_TO_PAUSE + 5):
            assert await spf.identity(request()) == ""
        assert resolver.asked == FAILURES_TO_PAUSE
        resolver.silent = False
        assert await spf.identity(request()) == ""
        now += PAUSE
        assert await spf.identity(request()) == "spf:example.net"

    asyncio.run(scene())


def test_a_good_list_is_an_identity() -> None:
    assert asyncio.run(listed_identity(request(), NO_FACTS)) == ""
    listed = Facts(welcome="list.example")
    assert asyncio.run(listed_identity(request(), listed)) == "dnswl:list.example"
