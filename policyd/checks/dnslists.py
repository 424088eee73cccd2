"""DNS lists: asked side by side within one budget, weighed, and watched for their health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gatepost.logs import get_logger
from gatepost.metrics import Counter, Gauge
from gatepost.reply import Reply
from msgauth.ask import Answer, Question
from policyd.action import refuse
from policyd.checks import Outcome
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
from policyd.request import Request
from policyd.settings import DnsListSettings, DnsListsSettings
from policyd.template import fill

REASON = "dnslist"
TEST_BUDGET = 10.0
"""Seconds for the two questions of a self-test."""
FAILURES_TO_TEST = 10
"""Unanswered questions in a row after which a zone is tested at once."""

ASKED = Counter(
    "gatepost_policyd_dnslist_answers_total", "Answers of each DNS list", ["zone", "answer"]
)
IN_USE = Gauge(
    "gatepost_policyd_dnslist_in_use",
    "1 while the zone is asked, 0 while its self-test keeps it out",
    ["zone"],
    across="min",
)

log = get_logger("policyd")


class AsyncAsker(Protocol):
    """What the checks need of `gatepost.dns.AsyncResolver`."""

    async def resolve(self, question: Question, deadline: float | None = None) -> Answer:
        """The answer; TEMPFAIL at the latest at `deadline` of the monotonic clock."""
        ...


class Zone:
    """One configured list. `shown` is its name without the query key."""

    def __init__(self, settings: DnsListSettings) -> None:
        key = settings.key_file.read().decode("ascii") if settings.key_file else ""
        self.zone = settings.zone.replace("{key}", key).strip(".").lower()
        self.shown = settings.zone.replace("{key}", "…").strip(".").lower()
        self.of = settings.of
        self.weight = settings.weight
        self.self_test = settings.self_test
        self.health = Health.GOOD
        self.failures = 0
        self.test_at = 0.0
        self._filters = tuple(CodeFilter(code) for code in settings.codes)
        self._counts = {listing: ASKED.labels(self.shown, listing.value) for listing in Listing}
        IN_USE.labels(self.shown).set(1)

    @property
    def in_use(self) -> bool:
        """Whether it is asked; not while its last test told against it."""
        return self.health in (Health.GOOD, Health.SILENT)

    def question(self, request: Request) -> Question | None:
        """What is asked about a request; None when there is nothing to ask."""
        if self.of == "client":
            name = address_name(request.client_address, self.zone)
        elif self.of == "sender":
            name = domain_name(request.sender_domain, self.zone)
        elif self.of == "helo":
            name = domain_name(request.helo_name, self.zone)
        else:
            name = domain_name(request.client_name, self.zone)
        return Question(name, "A") if name else None

    def judge(self, answer: Answer) -> tuple[Listing, str]:
        """What an answer means; counts it, and has the zone tested when it looks ill."""
        listing, code = judge(answer, self._filters)
        self._counts[listing].inc()
        if listing is Listing.ERROR:
            self.found(Health.BLOCKED, code)
        elif listing is Listing.UNKNOWN:
            self.failures += 1
            if self.failures >= FAILURES_TO_TEST:
                self.failures = 0
                self.test_at = 0.0
        else:
            self.failures = 0
        return listing, code

    def found(self, health: Health, told: str = "") -> None:
        """Take a finding about the zone's health; a change is logged once."""
        if health is self.health:
            return
        was_in_use = self.in_use
        self.health = health
        IN_USE.labels(self.shown).set(1 if self.in_use else 0)
        if self.in_use and not was_in_use:
            log.warning("DNS list is asked again", zone=self.shown, health=health.value)
        elif not self.in_use:
            log.error("DNS list is left out", zone=self.shown, health=health.value, code=told)
            self.test_at = 0.0
        elif health is Health.SILENT:
            log.warning("DNS list does not answer", zone=self.shown)

    def tests(self) -> SelfTest:
        """The questions of its self-test."""
        of = SelfTest.of_addresses if self.of == "client" else SelfTest.of_domains
        return of(self.zone)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one list said of a request."""

    zone: Zone
    question: Question
    listing: Listing
    code: str


class DnsLists:
    """The check `dnslists`."""

    name = "dnslists"
    states = frozenset({"CONNECT", "EHLO", "HELO", "MAIL", "RCPT"})

    def __init__(
        self,
        settings: DnsListsSettings,
        resolver: AsyncAsker,
        hostname: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.zones = [Zone(one) for one in settings.lists]
        self._settings = settings
        self._resolver = resolver
        self._hostname = hostname
        self._monotonic = monotonic

    async def check(self, request: Request) -> Outcome | None:
        """Ask what there is to ask; refuse from the threshold on.

        Not about a login: the addresses that people write from are on lists of dynamic addresses,
        as they should be.
        """
        if request.sasl_username:
            return None
        if request.sasl_username:
            return None  # our own users send from lines that every list has
        findings = await self.ask(request)
        if not findings:
            return None
        listed = [found for found in findings if found.listing is Listing.LISTED]
        if not listed:
            if all(found.listing in (Listing.UNKNOWN, Listing.ERROR) for found in findings):
                raise CheckError("no list answered")
            return Outcome("not listed")
        weight = sum(found.zone.weight for found in listed)
        shown = ", ".join(f"{found.zone.shown}={found.code}" for found in listed)
        good = [found.zone.shown for found in listed if found.zone.weight < 0]
        if good:
            request.welcome = good[0]
        if weight < self._settings.threshold:
            if weight > 0:
                request.signals.append("listed")
            return Outcome("welcome" if weight < 0 else "below threshold", detail=shown)
        return Outcome(
            "listed", refuse(await self._reply(request, listed)), REASON, f"{weight:g}: {shown}"
        )

    async def ask(self, request: Request) -> list[Finding]:
        """What each list in use says, within the budget."""
        asked = [
            (zone, question)
            for zone in self.zones
            if zone.in_use and (question := zone.question(request)) is not None
        ]
        if not asked:
            return []
        deadline = self._monotonic() + self._settings.dns_budget
        answers = await asyncio.gather(
            *(self._resolver.resolve(question, deadline) for _, question in asked)
        )
        return [
            Finding(zone, question, *zone.judge(answer))
            for (zone, question), answer in zip(asked, answers, strict=True)
        ]

    async def _reply(self, request: Request, listed: list[Finding]) -> Reply:
        bad = [found for found in listed if found.zone.weight > 0]
        told = ""
        if "{txt}" in self._settings.text:
            answer = await self._resolver.resolve(
                Question(bad[0].question.name, "TXT"), self._monotonic() + self._settings.dns_budget
            )
            told = answer.records[0] if answer.records else ""
        text = fill(
            self._settings.text,
            {
                "client": request.client_address,
                "sender": request.sender,
                "helo": request.helo_name,
                "lists": ", ".join(found.zone.shown for found in bad),
                "txt": told,
                "hostname": self._hostname,
            },
        )
        return Reply(554, "5.7.1", text.replace("…", "*"), REASON)

    async def test_zones(self) -> None:
        """Test every zone whose time has come (RFC 5782 section 5)."""
        now = self._monotonic()
        due = [zone for zone in self.zones if zone.self_test and zone.test_at <= now]
        await asyncio.gather(*(self.test_zone(zone) for zone in due))

    async def ask_health(self, zone: Zone) -> Health:
        """What the test entries of a zone say now."""
        deadline = self._monotonic() + TEST_BUDGET
        tests = zone.tests()
        answers = await asyncio.gather(
            self._resolver.resolve(tests.listed, deadline),
            self._resolver.resolve(tests.unlisted, deadline),
        )
        return judge_zone(*answers)

    async def test_zone(self, zone: Zone) -> None:
        """Test one zone and take note of what it says."""
        health = await self.ask_health(zone)
        good = health is Health.GOOD
        # A silent zone that was out stays out: nothing says that it is well again.
        if health is not Health.SILENT or zone.in_use:
            zone.found(health)
        wait = self._settings.test_interval if good else self._settings.retest_interval
        zone.test_at = self._monotonic() + wait
