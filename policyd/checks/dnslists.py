"""DNS lists: queried in parallel within one time budget, weighted, and tested for their health."""

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
"""Seconds for the two queries of a self-test."""
FAILURES_TO_TEST = 10
"""Consecutive unanswered queries after which a zone is tested at once."""

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
    """The part of `gatepost.dns.AsyncResolver` that the checks need."""

    async def resolve(self, question: Question, deadline: float | None = None) -> Answer:
        """Return the answer; TEMPFAIL if there is none by `deadline` (monotonic clock)."""
        ...


@dataclass(slots=True)
class ZoneStanding:
    """The known health of a zone. It survives a reload, so that a zone that lists every address
    does not refuse mail until its next test."""

    health: Health
    failures: int = 0
    """Number of consecutive unanswered queries."""
    test_at: float = 0.0
    """Time of the next test (monotonic clock)."""


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
        """The result of its last test."""
        return self.standing.health

    @property
    def in_use(self) -> bool:
        """Return whether it is queried, which it is after a test that found no fault."""
        return self.health in (Health.GOOD, Health.SILENT)

    @property
    def left_out(self) -> bool:
        """Return whether it is not queried because a test failed."""
        return not self.in_use and self.health is not Health.UNTESTED

    def masked(self, text: str) -> str:
        """Return `text` without the query key, because a list may repeat the query."""
        return text.replace(self._key, "*") if self._key else text

    def question(self, request: Request) -> Question | None:
        """Return the query for a request; None if the list has none for it."""
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
        """Interpret and count an answer; schedule a test if the zone looks broken."""
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
        """Record a finding about the zone's health; log each change once."""
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
        """Return the queries of its self-test."""
        of = SelfTest.of_addresses if self.of == "client" else SelfTest.of_domains
        return of(self.zone)


@dataclass(frozen=True, slots=True)
class ListFinding:
    """The answer of one list to a request."""

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
        """Query the lists; refuse if the sum of the weights reaches the threshold.

        Clients that are logged in are exempt: lists of dynamic addresses rightly contain the
        addresses of home users.
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
        """Query each list in use within the budget; skip lists that are left out."""
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
        """Wait for the first test of each zone: an untested zone may list every address."""
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
        """Test every zone that is due (RFC 5782 section 5)."""
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
                continue  # the zone is still untested, so it stays due
            if failure is not None:
                raise failure
            well = zone.health is Health.GOOD
            wait = self._settings.test_interval if well else self._settings.retest_interval
            zone.standing.test_at = self._monotonic() + wait
            if zone.health is Health.UNTESTED:
                log.warning("DNS list does not answer", zone=zone.shown)

    def _let_in_again(self, zone: ListZone, now: float) -> None:
        """Use a zone without test entries again, one interval after its error."""
        if not zone.left_out:
            return
        if zone.standing.test_at:
            zone.found(Health.GOOD)
            zone.standing.test_at = 0.0
        else:
            zone.standing.test_at = now + self._settings.retest_interval

    async def ask_health(self, zone: ListZone) -> Health:
        """Query the test entries of a zone and return its health."""
        deadline = self._monotonic() + TEST_BUDGET
        tests = zone.tests()
        answers = await asyncio.gather(
            self._resolver.resolve(tests.listed, deadline),
            self._resolver.resolve(tests.unlisted, deadline),
        )
        return judge_zone(*answers)

    async def test_zone(self, zone: ListZone) -> None:
        """Test one zone and record its health."""
        health = await self.ask_health(zone)
        # A zone that was left out and is silent stays out: nothing shows that it works again.
        if health is not Health.SILENT or zone.in_use:
            zone.found(health)


_THINGS = {"client": "client", "sender": "sender domain", "helo": "HELO name", "name": "host name"}


def _listed(request: Request, bad: Sequence[ListFinding]) -> Iterator[str]:
    """Yield a text for each listed property of a request, with the lists that contain it."""
    values = {
        "client": request.client_address,
        "sender": request.sender_domain,
        "helo": request.helo_name,
        "name": request.client_name,
    }
    for of, thing in _THINGS.items():
        if lists := [found.zone.shown for found in bad if found.zone.of == of]:
            yield f"{thing} [{values[of]}] is listed by {', '.join(lists)}"
