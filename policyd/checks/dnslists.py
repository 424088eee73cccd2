"""DNS lists: asked side by side within one budget, weighed, and watched for their health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gatepost.logs import get_logger
from gatepost.metrics import Counter, Gauge
from gatepost.reply import Reply
from gatepost.shortage import ShortageError
from msgauth.ask import Answer, Question
from policyd.action import refuse
from policyd.checks import CheckResult
from policyd.dnslist import (
    CodeFilter,
    Health,
    Listing,
    SelfTest,
    address_name,
    domain_name,
    judge,
    judge_zone,
)
from policyd.errors import CheckError
from policyd.facts import NO_FACTS, Facts
from policyd.reasons import reply
from policyd.request import Request
from policyd.settings import DnsListSettings, DnsListsSettings
from policyd.template import fill, of_request

REASON = "dnslist"
TEST_BUDGET = 10.0
"""Seconds for the two questions of a self-test."""
FAILURES_TO_TEST = 10
"""Unanswered questions in a row after which a zone is tested at once."""

ASKED = Counter(
    "gatepost_policyd_dnslist_answers_total", "Answers from each DNS list", ["zone", "answer"]
)
IN_USE = Gauge(
    "gatepost_policyd_dnslist_in_use",
    "1 while the zone is in use, 0 while its self-test fails",
    ["zone"],
    across="min",
)

log = get_logger("policyd")


class AsyncAsker(Protocol):
    """What the checks need of `gatepost.dns.AsyncResolver`."""

    async def resolve(self, question: Question, deadline: float | None = None) -> Answer:
        """Return the answer; TEMPFAIL at the latest at `deadline` of the monotonic clock."""
        ...


@dataclass(slots=True)
class ZoneStanding:
    """What is known of a zone's health. It outlives a reload: a zone that lists the world must not
    refuse anybody's mail until its next test."""

    health: Health
    failures: int = 0
    """Questions in a row that were not answered."""
    test_at: float = 0.0
    """When the next test is due, on the monotonic clock."""


ZoneStandings: TypeAlias = dict[tuple[str, str, bool], ZoneStanding]
"""Zone, what is looked up, whether it is tested; and its standing."""


class ListZone:
    """One configured list. `shown` is its name without the query key."""

    def __init__(self, settings: DnsListSettings, standings: ZoneStandings) -> None:
        self._key = settings.key_file.read_text("ascii") if settings.key_file else ""
        self.zone = settings.zone.replace("{key}", self._key).strip(".").lower()
        self.shown = settings.zone.replace("{key}", "…").strip(".").lower()
        self.of = settings.of
        self.weight = settings.weight
        self.self_test = settings.self_test
        self.standing = standings.setdefault(
            (self.zone, self.of, self.self_test),
            ZoneStanding(Health.UNTESTED if self.self_test else Health.GOOD),
        )
        self._filters = tuple(CodeFilter(code) for code in settings.codes)
        self._counts = {listing: ASKED.labels(self.shown, listing.value) for listing in Listing}
        IN_USE.labels(self.shown).set(0 if self.left_out else 1)

    @property
    def health(self) -> Health:
        """What its last test told."""
        return self.standing.health

    @property
    def in_use(self) -> bool:
        """Whether it is asked: it is once its test has told nothing against it."""
        return self.health in (Health.GOOD, Health.SILENT)

    @property
    def left_out(self) -> bool:
        """Whether a test has told against it."""
        return not self.in_use and self.health is not Health.UNTESTED

    def masked(self, text: str) -> str:
        """`text` without the query key: a list may repeat what it was asked."""
        return text.replace(self._key, "*") if self._key else text

    def question(self, request: Request) -> Question | None:
        """Return what is asked about a request; None when there is nothing to ask."""
        if self.of == "client":
            name = address_name(request.client, self.zone)
        elif self.of == "sender":
            name = domain_name(request.sender_domain, self.zone)
        elif self.of == "helo":
            name = domain_name(request.helo_name, self.zone)
        else:
            name = domain_name(request.client_name, self.zone)
        return Question(name, "A") if name else None

    def judge(self, answer: Answer) -> tuple[Listing, str]:
        """Return what an answer means; count it, and have the zone tested when it looks ill."""
        listing, code = judge(answer, self._filters)
        self._counts[listing].inc()
        if listing is Listing.ERROR:
            self.found(Health.BLOCKED, code)
        elif listing is Listing.UNKNOWN:
            self.standing.failures += 1
            if self.standing.failures >= FAILURES_TO_TEST:
                self.standing.failures = 0
                self.standing.test_at = 0.0
        else:
            self.standing.failures = 0
        return listing, code

    def found(self, health: Health, told: str = "") -> None:
        """Take a finding about the zone's health; a change is logged once."""
        if health is self.health:
            return
        was_left_out = self.left_out
        self.standing.health = health
        IN_USE.labels(self.shown).set(0 if self.left_out else 1)
        if was_left_out and not self.left_out:
            log.warning("DNS list is asked again", zone=self.shown, health=health.value)
        elif self.left_out:
            log.error("DNS list is left out", zone=self.shown, health=health.value, code=told)
            self.standing.test_at = 0.0
        elif health is Health.SILENT:
            log.warning("DNS list does not answer", zone=self.shown)

    def tests(self) -> SelfTest:
        """Return the questions of its self-test."""
        of = SelfTest.of_addresses if self.of == "client" else SelfTest.of_domains
        return of(self.zone)


@dataclass(frozen=True, slots=True)
class ListFinding:
    """What one list said of a request."""

    zone: ListZone
    question: Question
    listing: Listing
    code: str


class DnsListsCheck:
    """The check `dnslists`."""

    name = "dnslists"
    states = frozenset({"CONNECT", "EHLO", "HELO", "MAIL", "RCPT"})

    def __init__(
        self,
        settings: DnsListsSettings,
        resolver: AsyncAsker,
        hostname: str,
        standings: ZoneStandings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        standings = {} if standings is None else standings
        self.zones = [ListZone(one, standings) for one in settings.lists]
        self._settings = settings
        self._resolver = resolver
        self._hostname = hostname
        self._monotonic = monotonic

    async def check(self, request: Request, _facts: Facts = NO_FACTS) -> CheckResult | None:
        """Ask what there is to ask; refuse from the threshold on.

        Not about a login: the addresses that people write from are on lists of dynamic addresses,
        as they should be.
        """
        if request.sasl_username:
            return None
        findings = await self.ask(request)
        if not findings:
            return None
        listed = [found for found in findings if found.listing is Listing.LISTED]
        if not listed:
            if all(found.listing in (Listing.UNKNOWN, Listing.ERROR) for found in findings):
                raise CheckError("no list answered")
            return CheckResult("not listed")
        weight = sum(found.zone.weight for found in listed)
        shown = ", ".join(f"{found.zone.shown}={found.code}" for found in listed)
        good = [found.zone.shown for found in listed if found.zone.weight < 0]
        facts = Facts(
            # from the threshold on, too: in dry run the mail goes on to greylisting
            signals=("listed",) if weight > 0 else (),
            welcome=good[0] if good else "",
        )
        if weight < self._settings.threshold:
            finding = "welcome" if weight < 0 else "below threshold"
            return CheckResult(finding, detail=shown, facts=facts)
        action = refuse(await self._reply(request, listed))
        return CheckResult("listed", action, REASON, f"{weight:g}: {shown}", facts)

    async def ask(self, request: Request) -> list[ListFinding]:
        """Ask each list in use, within the budget; one that is left out says nothing."""
        concerned = [
            (zone, question)
            for zone in self.zones
            if not zone.left_out and (question := zone.question(request)) is not None
        ]
        if not concerned:
            return []
        deadline = self._monotonic() + self._settings.dns_budget
        await self._test_new([zone for zone, _ in concerned], deadline)
        asked = [(zone, question) for zone, question in concerned if zone.in_use]
        answers = await asyncio.gather(
            *(self._resolver.resolve(question, deadline) for _, question in asked)
        )
        findings = [
            ListFinding(zone, question, *zone.judge(answer))
            for (zone, question), answer in zip(asked, answers, strict=True)
        ]
        findings += [
            ListFinding(zone, question, Listing.UNKNOWN, "")
            for zone, question in concerned
            if zone.health is Health.UNTESTED
        ]
        return findings

    async def _test_new(self, zones: Sequence[ListZone], deadline: float) -> None:
        """Wait for the first test of zones: until then nobody knows whether they list the world."""
        new = [zone for zone in zones if zone.health is Health.UNTESTED]
        if new:
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline - self._monotonic()):
                    await asyncio.gather(*(self.test_zone(zone) for zone in new))

    async def _reply(self, request: Request, listed: list[ListFinding]) -> Reply:
        bad = [found for found in listed if found.zone.weight > 0]
        told = ""
        if "{txt}" in self._settings.text:
            answer = await self._resolver.resolve(
                Question(bad[0].question.name, "TXT"), self._monotonic() + self._settings.dns_budget
            )
            told = bad[0].zone.masked(answer.records[0]) if answer.records else ""
        text = fill(
            self._settings.text,
            of_request(request, self._hostname)
            | {
                "lists": ", ".join(found.zone.shown for found in bad),
                "listed": "; ".join(_listed(request, bad)),
                "txt": told,
            },
        )
        return reply(REASON, text.replace("…", "*"), temporary=False)

    async def test_zones(self) -> None:
        """Test every zone whose time has come (RFC 5782 section 5)."""
        now = self._monotonic()
        due = [zone for zone in self.zones if zone.standing.test_at <= now]
        for zone in due:
            if not zone.self_test:
                self._let_in_again(zone, now)
        tested = [zone for zone in due if zone.self_test]
        failures = await asyncio.gather(
            *(self.test_zone(zone) for zone in tested), return_exceptions=True
        )
        for zone, failure in zip(tested, failures, strict=True):
            if isinstance(failure, ShortageError):
                continue  # nothing was learned of the zone: it stays due
            if failure is not None:
                raise failure
            well = zone.health is Health.GOOD
            wait = self._settings.test_interval if well else self._settings.retest_interval
            zone.standing.test_at = self._monotonic() + wait
            if zone.health is Health.UNTESTED:
                log.warning("DNS list does not answer", zone=zone.shown)

    def _let_in_again(self, zone: ListZone, now: float) -> None:
        """Let a zone without test entries in again, one interval after its error."""
        if not zone.left_out:
            return
        if zone.standing.test_at:
            zone.found(Health.GOOD)
            zone.standing.test_at = 0.0
        else:
            zone.standing.test_at = now + self._settings.retest_interval

    async def ask_health(self, zone: ListZone) -> Health:
        """Ask what the test entries of a zone say now."""
        deadline = self._monotonic() + TEST_BUDGET
        tests = zone.tests()
        answers = await asyncio.gather(
            self._resolver.resolve(tests.listed, deadline),
            self._resolver.resolve(tests.unlisted, deadline),
        )
        return judge_zone(*answers)

    async def test_zone(self, zone: ListZone) -> None:
        """Test one zone and take note of what it says."""
        health = await self.ask_health(zone)
        # A silent zone that was out stays out: nothing says that it is well again.
        if health is not Health.SILENT or zone.in_use:
            zone.found(health)


_THINGS = {"client": "client", "sender": "sender domain", "helo": "HELO name", "name": "host name"}


def _listed(request: Request, bad: Sequence[ListFinding]) -> Iterator[str]:
    """Say what is listed where: a sender whose domain is on a list is not told of the address."""
    values = {
        "client": request.client_address,
        "sender": request.sender_domain,
        "helo": request.helo_name,
        "name": request.client_name,
    }
    for of, thing in _THINGS.items():
        if lists := [found.zone.shown for found in bad if found.zone.of == of]:
            yield f"{thing} [{values[of]}] is listed by {', '.join(lists)}"
