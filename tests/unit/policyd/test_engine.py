"""The row of checks: order, dry run, failure modes, budget."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

import pytest

from gatepost.reply import Reply
from policyd.action import DUNNO, hold, prepend, refuse
from policyd.checks import Check, CheckResult, accept
from policyd.engine import Decision, Engine, Row, within
from policyd.errors import CheckError, CheckShortageError
from policyd.facts import NO_FACTS, Facts
from policyd.request import PROBE, Request
from policyd.settings.base import FailureMode
from tests.unit.policyd.requests import request

MODES: tuple[FailureMode, ...] = ("open", "tempfail", "closed")
REJECT = refuse(Reply(554, "5.7.1", "no", "test"))
HEADER = prepend("X-Test", "yes")


class Says:
    """A check that says what it was told to say."""

    def __init__(
        self,
        name: str,
        outcome: CheckResult | Exception | None = None,
        states: AbstractSet[str] = frozenset({"RCPT"}),
        never: bool = False,
    ) -> None:
        self.name = name
        self.states = states
        self.asked = 0
        self.told = NO_FACTS
        self._outcome = outcome
        self._never = never

    async def check(self, request: Request, facts: Facts, /) -> CheckResult | None:
        self.asked += 1
        self.told = facts
        if self._never:
            await asyncio.get_running_loop().create_future()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def row(check: Check, mode: FailureMode = "open", dry_run: bool = False) -> Row:
    return Row(check, dry_run, mode)


def decide(*rows: Row, **attributes: str) -> Decision:
    return asyncio.run(Engine(rows).decide(request(**attributes)))


def test_nothing_to_say() -> None:
    decision = decide(row(Says("a")), row(Says("b", CheckResult("fine"))))
    assert decision.action is DUNNO
    assert decision.findings == ["b: fine"]


def test_the_first_that_refuses_ends_the_row() -> None:
    last = Says("c", CheckResult("fine"))
    decision = decide(
        row(Says("a", CheckResult("fine", detail="really"))),
        row(Says("b", CheckResult("bad", REJECT, "test"))),
        row(last),
    )
    assert (decision.action, decision.check, decision.reason) == (REJECT, "b", "test")
    assert decision.findings == ["a: fine (really)", "b: bad"]
    assert last.asked == 0


def test_the_first_that_accepts_ends_the_row() -> None:
    decision = decide(row(Says("a", accept("friend"))), row(Says("b", CheckResult("bad", REJECT))))
    assert decision.action == DUNNO
    assert decision.check == "a"


def test_a_header_waits_for_something_stronger() -> None:
    header = Says("a", CheckResult("late", HEADER))
    assert decide(row(header), row(Says("b"))).action is HEADER
    assert decide(row(header), row(Says("b", CheckResult("bad", REJECT)))).action is REJECT
    second = Says("b", CheckResult("too", prepend("X-Second", "no")))
    assert decide(row(header), row(second)).action is HEADER
    assert (
        decide(row(header), row(Says("b", CheckResult("odd", hold("odd"))))).action.verb == "HOLD"
    )
    assert decide(row(header), row(Says("b", accept("friend")))).action is HEADER


def test_what_is_denied_is_not_let_in_to_be_held() -> None:
    held = row(Says("a", CheckResult("odd", hold("odd"), "odd")))
    for last in (Says("b"), Says("b", CheckResult("fine", HEADER)), Says("b", accept("friend"))):
        decision = decide(held, row(last))
        assert (str(decision.action), decision.check, decision.reason) == ("HOLD odd", "a", "odd")
        assert last.asked == 1
    refused = decide(held, row(Says("b", CheckResult("bad", REJECT, "test"))))
    assert (refused.action, refused.check, refused.reason) == (REJECT, "b", "test")


def test_a_check_is_asked_only_in_its_states() -> None:
    check = Says("a", CheckResult("bad", REJECT), states=frozenset({"END-OF-MESSAGE"}))
    assert decide(row(check)).action is DUNNO
    assert decide(row(check), protocol_state="END-OF-MESSAGE").action is REJECT
    assert decide(row(check), protocol_state="FUTURE").action is DUNNO


def test_dry_run_only_tells() -> None:
    decision = decide(
        row(Says("a", CheckResult("bad", REJECT, "test")), dry_run=True), row(Says("b"))
    )
    assert (decision.action, decision.reason) == (DUNNO, "")
    assert decision.findings == ["a: bad [dry run, would reject]"]
    friend = row(Says("a", accept("friend")), dry_run=True)
    assert decide(friend).findings == ["a: friend [dry run, would accept]"]


@pytest.mark.parametrize("error", [CheckError("store is down"), ZeroDivisionError("a bug")])
@pytest.mark.parametrize(
    ("mode", "verb", "reason"),
    [
        ("open", "DUNNO", ""),
        ("tempfail", "451", "a-unavailable"),
        ("closed", "554", "a-unavailable"),
    ],
)
def test_a_check_that_fails(mode: FailureMode, verb: str, reason: str, error: Exception) -> None:
    after = Says("b", CheckResult("fine"))
    decision = decide(row(Says("a", error), mode), row(after))
    assert decision.action.verb == verb
    assert decision.reason == reason
    assert after.asked == (mode == "open")
    assert decision.findings[0].startswith("a: failed (")


@pytest.mark.parametrize(
    ("modes", "verb"),
    [
        (("open", "open"), "DUNNO"),
        (("open", "tempfail"), "451"),
        (("tempfail", "closed"), "554"),
    ],
)
def test_out_of_time_the_strictest_mode_answers(
    modes: tuple[FailureMode, FailureMode], verb: str
) -> None:
    rows = [row(Says("a", never=True), modes[0]), row(Says("b"), modes[1])]
    decision = asyncio.run(within(Engine(rows), request(), 0.001))
    assert decision.action.verb == verb


@pytest.mark.parametrize(
    ("modes", "verb", "check"),
    [
        ((), "DUNNO", ""),
        (("open",), "DUNNO", "real-open"),
        (("open", "tempfail"), "451", "real-tempfail"),
        (("tempfail", "closed"), "554", "real-closed"),
    ],
)
def test_out_of_time_a_check_in_dry_run_has_no_effect(
    modes: tuple[FailureMode, ...], verb: str, check: str
) -> None:
    dry = [row(Says(f"dry-{mode}", never=True), mode, dry_run=True) for mode in MODES]
    real = [row(Says(f"real-{mode}"), mode) for mode in modes]
    for rows in ([*dry, *real], [*real, *dry]):
        decision = asyncio.run(within(Engine(rows), request(), 0.001))
        assert decision.action.verb == verb
        assert decision.check == (check if verb != "DUNNO" else "")
        assert decision.reason == (f"{check}-unavailable" if verb != "DUNNO" else "")
        assert decision.findings == ([f"{check}: failed (out of time)"] if check else [])


def test_a_check_is_told_the_facts_of_those_before_it() -> None:
    listed = Facts(signals=("listed",), welcome="a.example")
    unnamed = Facts(signals=("no-name",))
    last = Says("f")
    rows = [
        row(Says("a", CheckResult("noted", facts=listed))),
        row(Says("b")),
        row(Says("c", CheckError("no answer", unnamed))),
        row(
            Says("d", CheckResult("bad", REJECT, facts=Facts(("odd",), "d.example"))), dry_run=True
        ),
        row(Says("e", CheckResult("odd", hold("odd")))),
        row(last),
    ]
    asyncio.run(Engine(rows).decide(request()))
    told = [one.check.told for one in rows if isinstance(one.check, Says)]
    both = Facts(("listed", "no-name"), "a.example")
    everything = Facts(("listed", "no-name", "odd"), "d.example")
    assert told == [NO_FACTS, listed, listed, both, everything, everything]


def test_a_shortage_in_dry_run_loses_no_facts() -> None:
    odd = Facts(signals=("odd",))
    last = Says("last")
    short = row(Says("a", CheckShortageError("no descriptor", odd)), "closed", dry_run=True)
    assert decide(short, row(last)).action == DUNNO
    assert last.told == odd
    decision = decide(row(Says("a", CheckShortageError("no descriptor", odd)), "open"), row(last))
    assert decision.reason == "out-of-resources"


def test_within_time_it_is_as_ever() -> None:
    decision = asyncio.run(
        within(Engine([row(Says("a", CheckResult("bad", REJECT)))]), request(), 60)
    )
    assert decision.action is REJECT


def test_an_address_of_a_proxy_is_nobodys() -> None:
    seen: list[Request] = []

    class Looks(Says):
        async def check(self, request: Request, facts: Facts, /) -> CheckResult | None:
            seen.append(request)
            return None

    engine = Engine([row(Looks("a"))], ["10.0.0.0/8"])
    proxied = request(client_address="10.1.2.3")
    decision = asyncio.run(engine.decide(proxied))
    assert decision.findings == ["client address is a proxy's"]
    assert (decision.proxied, engine.out_of_time(proxied).proxied) == (True, True)
    assert proxied.client_address == "10.1.2.3"
    assert (seen[0].client_address, seen[0].client_name) == ("", "")
    asyncio.run(engine.decide(request()))
    assert seen[1].client_address == "192.0.2.7"
    # a health probe comes from the pod itself, which may be among the proxies' networks
    probe = Request(dict(PROBE))
    on_loopback = Engine([], ["127.0.0.0/8"])
    assert asyncio.run(on_loopback.decide(probe)).findings == []
    other = Request({**PROBE, "sender": "a@example.net"})
    assert asyncio.run(on_loopback.decide(other)).findings == ["client address is a proxy's"]
