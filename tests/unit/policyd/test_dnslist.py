"""DNS lists: names, codes, health, and what the check makes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gatepost.config import SecretFile
from gatepost.dns import Zone as DnsZone
from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Question, Rcode
from policyd.checks import CheckResult
from policyd.checks.dnslists import FAILURES_TO_TEST, DnsListsCheck, ZoneStandings
from policyd.dnslist import (
    CodeFilter,
    Health,
    Listing,
    address_name,
    domain_name,
    judge,
    judge_zone,
)
from policyd.errors import CheckError
from policyd.facts import Facts
from policyd.match import parse_address
from policyd.settings import DnsListSettings, DnsListsSettings
from tests.unit.policyd.requests import request

ZONE = DnsZone.parse("""
["7.2.0.192.bl.example"]
A = ["127.0.0.2", "127.0.0.10"]
TXT = "Listed since Monday"
["2.0.0.127.bl.example"]
A = "127.0.0.2"
["8.2.0.192.bl.example"]
A = "127.255.255.254"
["9.2.0.192.bl.example"]
A = "127.0.0.1"
["7.2.0.192.weak.example"]
A = "127.0.0.3"
["2.0.0.127.weak.example"]
A = "127.0.0.2"
["7.2.0.192.good.example"]
A = "127.0.5.2"
["2.0.0.127.good.example"]
A = "127.0.0.2"
["evil.example.rhs.example"]
A = "127.0.1.2"
["test.rhs.example"]
A = "127.0.1.2"
["*.parked.example"]
A = "203.0.113.5"
["*.world.example"]
A = "127.0.0.2"
["7.2.0.192.slow.example"]
rcode = "tempfail"
["2.0.0.127.slow.example"]
rcode = "tempfail"
["7.2.0.192.0123456789abcdef.dq.example"]
A = "127.0.0.4"
TXT = "see https://dq.example/?0123456789abcdef/192.0.2.7"
["2.0.0.127.0123456789abcdef.dq.example"]
A = "127.0.0.2"
""")


class Resolver:
    """Answers from the zone above, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken: set[str] = set()

    async def resolve(self, question: Question, deadline: float | None = None) -> Answer:
        self.asked.append(question.name)
        await asyncio.sleep(0)
        if any(question.name.endswith(zone) for zone in self.broken):
            return TEMPFAIL
        return ZONE.resolve(question)


def a(*records: str) -> Answer:
    return Answer(Rcode.OK, records)


@pytest.mark.parametrize(
    ("answer", "filters", "listing"),
    [
        (NXDOMAIN, (), Listing.NOT_LISTED),
        (a(), (), Listing.NOT_LISTED),
        (TEMPFAIL, (), Listing.UNKNOWN),
        (a("127.0.0.2"), (), Listing.LISTED),
        (a("127.0.0.2"), ("127.0.0.[3..11]",), Listing.NOT_LISTED),
        (a("127.0.0.2", "127.0.0.4"), ("127.0.0.[3..11]",), Listing.LISTED),
        (a("127.255.255.254"), (), Listing.ERROR),
        (a("127.255.255.252", "127.0.0.2"), (), Listing.ERROR),
        (a("127.0.0.1"), (), Listing.ERROR),
        (a("203.0.113.1"), (), Listing.ERROR),
        (a("nonsense"), (), Listing.NOT_LISTED),
    ],
)
def test_what_an_answer_means(answer: Answer, filters: tuple[str, ...], listing: Listing) -> None:
    assert judge(answer, [CodeFilter(text) for text in filters])[0] is listing


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("127.0.0.2", "127.0.0.2", "127.0.0.3"),
        ("127.0.0.[2..11]", "127.0.0.11", "127.0.0.12"),
        ("127.0.[0..255].[1;3]", "127.0.9.3", "127.0.9.2"),
        ("127.0.0.[2;4..6;9]", "127.0.0.5", "127.0.0.7"),
    ],
)
def test_patterns_of_codes(pattern: str, fits: str, fits_not: str) -> None:
    assert CodeFilter(pattern).match(fits)
    assert not CodeFilter(pattern).match(fits_not)


@pytest.mark.parametrize(
    "pattern",
    ["", "127.0.0", "127.0.0.256", "127.0.0.[5..2]", "127.0.0.[2", "127.0.0.x", "1.2.3.4.5"],
)
def test_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        CodeFilter(pattern)


def test_names_to_ask() -> None:
    assert address_name(parse_address("192.0.2.7"), "bl.example") == "7.2.0.192.bl.example"
    assert address_name(parse_address("::ffff:192.0.2.7"), "bl.example") == "7.2.0.192.bl.example"
    # RFC 5782 section 2.4
    assert address_name(parse_address("2001:db8:1:2:3:4:567:89ab"), "ugly.example.com") == (
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"
    )
    assert address_name(parse_address("unknown"), "bl.example") == ""
    assert domain_name("Example.ORG.", "rhs.example") == "example.org.rhs.example"
    for nothing in ("", "[192.0.2.7]", "192.0.2.7", "localhost", "a b.example", "x" * 300 + ".org"):
        assert domain_name(nothing, "rhs.example") == ""


@pytest.mark.parametrize(
    ("listed", "unlisted", "health"),
    [
        (a("127.0.0.2"), NXDOMAIN, Health.GOOD),
        (NXDOMAIN, NXDOMAIN, Health.DEAD),
        (a("127.0.0.2"), a("127.0.0.2"), Health.LISTS_EVERYTHING),
        (a("127.255.255.254"), a("127.255.255.254"), Health.BLOCKED),
        (a("203.0.113.5"), a("203.0.113.5"), Health.BLOCKED),
        (TEMPFAIL, TEMPFAIL, Health.SILENT),
        (a("127.0.0.2"), TEMPFAIL, Health.SILENT),
    ],
)
def test_the_health_of_a_zone(listed: Answer, unlisted: Answer, health: Health) -> None:
    assert judge_zone(listed, unlisted) is health


def check(
    *lists: DnsListSettings, client: str = "192.0.2.7", text: str | None = None, **attributes: str
) -> tuple[CheckResult | None, Resolver, DnsListsCheck]:
    resolver = Resolver()
    settings = DnsListsSettings(lists=lists)
    if text:
        settings = settings.model_copy(update={"text": text})
    lists_check = DnsListsCheck(settings, resolver, "mx.example.org")
    asked = request(client_address=client, **attributes)
    return asyncio.run(lists_check.check(asked)), resolver, lists_check


def zone(name: str, **settings: object) -> DnsListSettings:
    return DnsListSettings.model_validate({"zone": name, **settings})


def test_a_listed_client_is_refused_with_the_list_and_the_reason_id() -> None:
    outcome, _, _ = check(zone("bl.example"))
    assert outcome is not None
    assert str(outcome.action) == (
        "554 5.7.1 Service unavailable; client [192.0.2.7] is listed by bl.example [dnslist]"
    )
    assert outcome.reason == "dnslist"


def test_others_are_not() -> None:
    for client in ("192.0.2.6", "192.0.2.8", "192.0.2.9"):
        try:
            outcome, _, _ = check(zone("bl.example"), client=client)
        except CheckError:
            continue
        assert outcome is not None
        assert outcome.action is None


def test_weights_are_added_up() -> None:
    half = zone("weak.example", weight=0.5)
    outcome, _, _ = check(half)
    assert outcome is not None
    assert outcome.action is None
    assert outcome.finding == "below threshold"
    outcome, _, _ = check(half, zone("bl.example", weight=0.5))
    assert outcome is not None
    assert outcome.action is not None
    outcome, _, _ = check(zone("bl.example"), zone("good.example", weight=-1))
    assert outcome is not None
    assert outcome.action is None


def test_a_list_below_the_threshold_makes_a_client_odd_and_a_good_one_welcome() -> None:
    settings = DnsListsSettings(lists=(zone("weak.example", weight=0.5),))
    odd = asyncio.run(DnsListsCheck(settings, Resolver(), "mx").check(request()))
    assert odd is not None
    assert odd.facts.signals == ("listed",)
    settings = DnsListsSettings(lists=(zone("good.example", weight=-2),))
    good = asyncio.run(DnsListsCheck(settings, Resolver(), "mx").check(request()))
    assert good is not None
    assert good.facts == Facts(signals=(), welcome="good.example")


def test_codes_are_filtered() -> None:
    outcome, _, _ = check(zone("bl.example", codes=("127.0.0.[3..9]",)))
    assert outcome is not None
    assert outcome.action is None


def test_domains_of_sender_and_helo() -> None:
    for of, attributes in (
        ("sender", {"sender": "a@evil.example"}),
        ("helo", {"helo_name": "evil.example"}),
        ("name", {"client_name": "evil.example"}),
    ):
        outcome, _, _ = check(zone("rhs.example", of=of), **attributes)
        assert outcome is not None
        assert outcome.action is not None
        assert outcome.action.permanent
    outcome, resolver, _ = check(zone("rhs.example", of="sender"), sender="")
    assert outcome is None
    assert resolver.asked == []


def test_a_login_is_not_looked_up() -> None:
    """People write from dynamic addresses, which are on lists of such."""
    outcome, resolver, _ = check(zone("bl.example"), sasl_username="alice")
    assert outcome is None
    assert resolver.asked == []


def test_the_text_may_have_what_the_list_says() -> None:
    outcome, _, _ = check(zone("bl.example"), text="{client}: {txt}")
    assert outcome is not None
    assert str(outcome.action) == "554 5.7.1 192.0.2.7: Listed since Monday [dnslist]"


def test_an_error_is_no_listing_and_takes_the_zone_out() -> None:
    for client in ("192.0.2.8", "192.0.2.9"):
        resolver = Resolver()
        settings = DnsListsSettings(lists=(zone("bl.example"), zone("weak.example")))
        lists_check = DnsListsCheck(settings, resolver, "mx.example.org")
        outcome = asyncio.run(lists_check.check(request(client_address=client)))
        assert outcome == CheckResult("not listed")
        bl, weak = lists_check.zones
        assert (bl.health, bl.in_use, weak.in_use) == (Health.BLOCKED, False, True)
        resolver.asked.clear()
        asyncio.run(lists_check.check(request(client_address="192.0.2.7")))
        assert resolver.asked == ["7.2.0.192.weak.example"]


def test_no_answer_at_all_is_for_the_failure_mode() -> None:
    with pytest.raises(CheckError):
        check(zone("slow.example"))
    outcome, _, _ = check(zone("slow.example"), zone("good.example", weight=-1))
    assert outcome is not None
    assert outcome.finding == "welcome"


@pytest.mark.parametrize(
    ("name", "health"),
    [
        ("bl.example", Health.GOOD),
        ("closed.example", Health.DEAD),
        ("parked.example", Health.BLOCKED),
        ("world.example", Health.LISTS_EVERYTHING),
    ],
)
def test_the_self_test_at_the_start(name: str, health: Health) -> None:
    lists_check = DnsListsCheck(DnsListsSettings(lists=(zone(name),)), Resolver(), "mx")
    asyncio.run(lists_check.test_zones())
    (tested,) = lists_check.zones
    assert tested.health is health
    assert tested.in_use is (health is Health.GOOD)


def test_a_domain_list_has_other_test_entries() -> None:
    resolver = Resolver()
    settings = DnsListsSettings(lists=(zone("rhs.example", of="sender"),))
    lists_check = DnsListsCheck(settings, resolver, "mx")
    asyncio.run(lists_check.test_zones())
    assert lists_check.zones[0].health is Health.GOOD
    assert resolver.asked == ["test.rhs.example", "invalid.rhs.example"]


def test_a_zone_comes_back_by_itself() -> None:
    now = 1000.0
    resolver = Resolver()
    settings = DnsListsSettings(lists=(zone("bl.example"),), retest_interval=300)
    lists_check = DnsListsCheck(settings, resolver, "mx", monotonic=lambda: now)
    (bl,) = lists_check.zones
    bl.found(Health.BLOCKED)
    assert not bl.in_use
    # silence says nothing about its health: it stays out
    resolver.broken = {"bl.example"}
    asyncio.run(lists_check.test_zones())
    assert not bl.in_use
    resolver.broken = set()
    now = 1299.0
    asyncio.run(lists_check.test_zones())
    assert not bl.in_use
    now = 1300.0
    asyncio.run(lists_check.test_zones())
    assert bl.in_use


def test_it_is_tested_hourly_and_when_it_falls_silent() -> None:
    now = 1000.0
    resolver = Resolver()
    settings = DnsListsSettings(lists=(zone("bl.example"), zone("weak.example")))
    lists_check = DnsListsCheck(settings, resolver, "mx", monotonic=lambda: now)
    asyncio.run(lists_check.test_zones())
    assert len(resolver.asked) == 4
    now += 3599
    asyncio.run(lists_check.test_zones())
    assert len(resolver.asked) == 4
    now += 1
    asyncio.run(lists_check.test_zones())
    assert len(resolver.asked) == 8
    resolver.broken = {"weak.example"}
    for _ in range(FAILURES_TO_TEST):
        asyncio.run(lists_check.check(request(client_address="192.0.2.6")))
    resolver.asked.clear()
    asyncio.run(lists_check.test_zones())
    assert resolver.asked == ["2.0.0.127.weak.example", "1.0.0.127.weak.example"]


def test_a_query_key_is_asked_and_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "dqs-key"
    key.write_text("0123456789abcdef\n")
    key.chmod(0o600)
    outcome, resolver, lists_check = check(
        zone("{key}.dq.example", key_file=SecretFile(key)), text="{lists}"
    )
    assert resolver.asked[-1] == "7.2.0.192.0123456789abcdef.dq.example"
    assert outcome is not None
    assert "0123456789abcdef" not in f"{outcome} {lists_check.zones[0].shown}"
    assert str(outcome.action) == "554 5.7.1 *.dq.example [dnslist]"
    # a list may repeat what it was asked
    outcome, _, _ = check(zone("{key}.dq.example", key_file=SecretFile(key)), text="{txt}")
    assert outcome is not None
    assert str(outcome.action) == "554 5.7.1 see https://dq.example/?*/192.0.2.7 [dnslist]"


def test_nobody_is_refused_by_a_zone_before_its_first_test() -> None:
    """At the start, and after a reload, which makes the check anew."""
    settings = DnsListsSettings(lists=(zone("world.example"),))
    resolver = Resolver()
    standings: ZoneStandings = {}
    for _ in range(2):
        lists_check = DnsListsCheck(settings, resolver, "mx", standings)
        assert asyncio.run(lists_check.check(request())) is None
        assert lists_check.zones[0].health is Health.LISTS_EVERYTHING
    assert resolver.asked == ["2.0.0.127.world.example", "1.0.0.127.world.example"]


def test_a_zone_that_never_answered_a_test_is_not_asked_and_found_out_later() -> None:
    resolver = Resolver()
    resolver.broken = {"0.127.bl.example"}
    lists_check = DnsListsCheck(DnsListsSettings(lists=(zone("bl.example"),)), resolver, "mx")
    with pytest.raises(CheckError, match="no list answered"):
        asyncio.run(lists_check.check(request()))
    resolver.broken = set()
    outcome = asyncio.run(lists_check.check(request()))
    assert outcome is not None
    assert outcome.reason == "dnslist"


def test_a_zone_without_test_entries_comes_back_after_an_error() -> None:
    now = 1000.0
    settings = DnsListsSettings(lists=(zone("bl.example", self_test=False),), retest_interval=300)
    lists_check = DnsListsCheck(settings, Resolver(), "mx", monotonic=lambda: now)
    with pytest.raises(CheckError):
        asyncio.run(lists_check.check(request(client_address="192.0.2.8")))
    (bl,) = lists_check.zones
    in_use = []
    for second in (1000.0, 1299.0, 1300.0, 1301.0):
        now = second
        asyncio.run(lists_check.test_zones())
        in_use.append(bl.in_use)
    assert in_use == [False, False, True, True]


def test_the_reply_names_what_is_listed() -> None:
    rhs = zone("rhs.example", of="sender")
    outcome, _, _ = check(rhs, client="192.0.2.6", sender="a@evil.example")
    assert outcome is not None
    assert str(outcome.action) == (
        "554 5.7.1 Service unavailable; sender domain [evil.example] is listed by rhs.example "
        "[dnslist]"
    )
    outcome, _, _ = check(rhs, zone("bl.example"), zone("weak.example"), sender="a@evil.example")
    assert outcome is not None
    assert str(outcome.action) == (
        "554 5.7.1 Service unavailable; client [192.0.2.7] is listed by bl.example, weak.example; "
        "sender domain [evil.example] is listed by rhs.example [dnslist]"
    )


def test_from_the_threshold_on_a_client_is_odd_too() -> None:
    """In dry run it goes on to greylisting, which may look only at odd clients."""
    lists_check = DnsListsCheck(DnsListsSettings(lists=(zone("bl.example"),)), Resolver(), "mx")
    outcome = asyncio.run(lists_check.check(request()))
    assert outcome is not None
    assert outcome.reason == "dnslist"
    assert outcome.facts.signals == ("listed",)
