"""SPF results for checks, evaluated once for each client, HELO name and sender."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgauth.ask import Answer, Question
from msgauth.drive import asolve
from msgauth.results import SpfStatus
from msgauth.spf import SpfResult, check_mail_from
from policyd.facts import NO_FACTS, Facts
from policyd.request import Request

KEPT = 20_000
"""Maximum number of cached results."""
KEPT_SECONDS = 300.0
"""Seconds for which a result is cached: a message with a hundred recipients asks for it a hundred
times."""
FAILURES_TO_PAUSE = 5
"""Consecutive evaluations without an answer from DNS after which new ones pause for a while."""
PAUSE = 10.0

NOBODY = SpfResult("spf", SpfStatus.NONE, "the client's address is not known")
_PAUSED = SpfResult("spf", SpfStatus.TEMPERROR, "DNS did not answer a moment ago")


class Resolves(Protocol):
    """The part of `gatepost.dns.AsyncResolver` that `Spf` needs."""

    def within(self, seconds: float) -> Callable[[Question], Awaitable[Answer]]:
        """Return a function that asks; all its questions share a budget of `seconds`."""
        ...


class Spf:
    """SPF of the MAIL FROM identity within `budget` seconds of DNS."""

    def __init__(
        self,
        resolver: Resolves,
        hostname: str,
        budget: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._hostname = hostname
        self._budget = budget
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, SpfResult]] = OrderedDict()
        self._failures = 0
        self._paused_until = 0.0

    async def check(self, request: Request) -> SpfResult:
        """Return the result for the client and sender of a request."""
        client = request.client
        if client is None:
            return NOBODY
        key = (request.client_address, request.helo_name, request.sender)
        now = self._monotonic()
        kept = self._kept.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        if now < self._paused_until:
            return _PAUSED
        sender = request.sender_address
        lookup = check_mail_from(
            client, request.helo_name, sender, receiver=self._hostname, explain=False
        )
        result = await asolve(lookup, self._resolver.within(self._budget))
        self._note(key, result)
        return result

    def _note(self, key: tuple[str, str, str], result: SpfResult) -> None:
        now = self._monotonic()
        if result.status is SpfStatus.TEMPERROR:
            self._failures += 1
            if self._failures >= FAILURES_TO_PAUSE:
                self._failures = 0
                self._paused_until = now + PAUSE
            return
        self._failures = 0
        self._kept[key] = (now + KEPT_SECONDS, result)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def identity(self, request: Request, _facts: Facts = NO_FACTS) -> str:
        """Return ``spf:example.org`` if SPF passes: an identity of the client for greylisting."""
        result = await self.check(request)
        return f"spf:{result.domain}" if result.status is SpfStatus.PASS else ""


async def listed_identity(_request: Request, facts: Facts) -> str:
    """Return ``dnswl:list.example`` if a DNS list of good senders contains the client."""
    return f"dnswl:{facts.welcome}" if facts.welcome else ""
