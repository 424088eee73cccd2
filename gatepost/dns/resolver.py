"""Clients of recursive resolvers, for threads and for an event loop, with one cache.

Neither resolver raises for failures of DNS or the network: these are the answer `Rcode.TEMPFAIL`,
and a name that cannot exist is `Rcode.NXDOMAIN`. A query that failed because of a local shortage
(`gatepost.shortage`) is not cached, and `AsyncResolver`, which the checks of mail use, raises
`ShortageError`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.nameserver
import dns.rcode
import dns.resolver

from gatepost.config import DnsSettings
from gatepost.config.ground import parse_nameserver
from gatepost.dns.budget import Budget
from gatepost.dns.cache import Cache
from gatepost.dns.exchange import FAILURES, NO_EDNS, UDP_SIZE, Exchange, RecursiveServer
from gatepost.dns.names import MAX_RECORDS, to_name, to_text
from gatepost.metrics import Counter
from gatepost.shortage import ShortageError, is_shortage
from msgauth.ask import NXDOMAIN, TEMPFAIL, Answer, Question, Rcode

QUESTIONS = Counter(
    "gatepost_dns_questions_total",
    "DNS queries by source of the answer and result",
    ["source", "rcode"],
)
_HIT = {rcode: QUESTIONS.labels("cache", rcode.value) for rcode in Rcode}
_ASKED = {rcode: QUESTIONS.labels("network", rcode.value) for rcode in Rcode}

RESOLV_CONF = "/etc/resolv.conf"
_LEAST_LIFETIME = 0.001  # dnspython takes 0 for "no limit"


def new_cache(settings: DnsSettings) -> Cache:
    """Return a cache for the settings."""
    return Cache(settings.cache_size, settings.maximum_ttl, settings.failure_ttl)


def _servers(settings: DnsSettings) -> list[tuple[str, int]]:
    """Return address and port of the recursive resolvers, by default those of the system."""
    if settings.nameservers:
        return [parse_nameserver(server) for server in settings.nameservers]
    system = dns.resolver.Resolver(configure=False)
    try:
        with open(RESOLV_CONF, encoding="utf-8", errors="replace") as file:
            system.read_resolv_conf(file)
    except dns.resolver.NoResolverConfiguration:
        return [("127.0.0.1", 53)]  # as resolv.conf(5) says
    except OSError as error:
        if is_shortage(error):
            raise  # it would persist until the next start
        return [("127.0.0.1", 53)]
    return [(str(server), system.port) for server in system.nameservers]


def _patience(settings: DnsSettings) -> float:
    # half of the total, so that a second server still gets its turn
    return min(2.0, settings.timeout / 2)


def _lower(question: Question) -> Question:
    name = question.name.removesuffix(".")
    if name.islower() and name is question.name:
        return question
    return Question(name.lower(), question.rdtype)


def _to_answer(response: dns.message.Message) -> Answer:
    """Read the response to a question; raises `dns.exception.DNSException` for loops."""
    if response.flags & dns.flags.TC:
        return TEMPFAIL  # also over TCP: a truncated answer is not an answer (RFC 2181 section 9)
    chain = response.resolve_chaining()  # type: ignore[attr-defined]  # it is a QueryMessage
    ttl = chain.minimum_ttl
    if response.rcode() == dns.rcode.NXDOMAIN:
        return dataclasses.replace(NXDOMAIN, ttl=ttl)  # RFC 2308 section 5
    if chain.answer is None:
        return Answer(Rcode.OK, (), ttl)
    records = [to_text(rdata) for rdata in chain.answer]
    if len(records) > MAX_RECORDS:
        # servers rotate their records: the choice must not depend on the order
        records = sorted(records)[:MAX_RECORDS]
    return Answer(Rcode.OK, tuple(records), ttl)


def _nonexistent(error: dns.resolver.NXDOMAIN) -> Answer:
    """Return the negative answer with its TTL (RFC 2308 section 5)."""
    responses = error.responses().values()  # type: ignore[no-untyped-call]
    try:
        ttls = [_to_answer(response).ttl for response in responses]
    except dns.exception.DNSException:
        ttls = []
    return dataclasses.replace(NXDOMAIN, ttl=min(ttls, default=0))


def _is_of_shortage(error: BaseException) -> bool:
    """Return whether dnspython gave up because of a local shortage of resources."""
    tried = error.kwargs.get("errors", ()) if isinstance(error, dns.exception.DNSException) else ()
    causes = (error, *(one[3] for one in tried))
    return any(isinstance(cause, Exception) and is_shortage(cause) for cause in causes)


class _Nameserver(dns.nameserver.Do53Nameserver):
    """A server that is queried again without EDNS if it does not support it."""

    def query(
        self, request: dns.message.QueryMessage, timeout: float, *args: Any, **more: Any
    ) -> dns.message.Message:
        end = time.monotonic() + timeout
        response = super().query(request, timeout, *args, **more)
        if response.rcode() in NO_EDNS and request.edns >= 0:
            (asked,) = request.question
            # RFC 6891 section 7
            plain = dns.message.make_query(asked.name, asked.rdtype, use_edns=False)
            left = max(end - time.monotonic(), _LEAST_LIFETIME)
            return super().query(plain, left, *args, **more)
        return response


class Resolver:
    """Resolver for threads. `resolve` blocks for at most ``settings.timeout`` seconds."""

    def __init__(
        self,
        settings: DnsSettings,
        cache: Cache | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._cache = new_cache(settings) if cache is None else cache
        self._monotonic = monotonic
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [_Nameserver(*server) for server in _servers(settings)]
        self._resolver.search = []
        self._resolver.lifetime = settings.timeout
        self._resolver.timeout = _patience(settings)
        self._resolver.retry_servfail = len(self._resolver.nameservers) > 1
        self._resolver.use_edns(0, 0, UDP_SIZE)

    def resolve(self, question: Question, deadline: float | None = None) -> Answer:
        """Return the answer, from the cache or the network.

        `deadline` is a time of the monotonic clock; after it, the answer is TEMPFAIL unless the
        cache has one.
        """
        question = _lower(question)
        if (known := self._cache.get(question)) is not None:
            _HIT[known.rcode].inc()
            return known
        lifetime = self._settings.timeout
        if deadline is not None:
            lifetime = min(lifetime, deadline - self._monotonic())
            if lifetime <= 0:
                return TEMPFAIL
        try:
            answer = self._ask(question, max(lifetime, _LEAST_LIFETIME))
        except ShortageError:
            return TEMPFAIL
        _ASKED[answer.rcode].inc()
        # a failure because of the deadline says nothing about the servers
        if answer.rcode is not Rcode.TEMPFAIL or lifetime >= self._settings.timeout:
            self._cache.put(question, answer)
        return answer

    def within(self, seconds: float, reserved: float = 0.0) -> Callable[[Question], Answer]:
        """Return a resolve function with a limit of `seconds` for all questions; then each is
        TEMPFAIL.

        The fraction `reserved` of the time (0 to 1) is for questions with a share.
        """
        budget = Budget(seconds, reserved, self._monotonic)

        def ask(question: Question) -> Answer:
            with budget.spend(question) as deadline:
                return self.resolve(question, deadline)

        return ask

    def _ask(self, question: Question, lifetime: float) -> Answer:
        name = to_name(question.name)
        if name is None:
            return NXDOMAIN
        try:
            found = self._resolver.resolve(
                name, question.rdtype, lifetime=lifetime, raise_on_no_answer=False, search=False
            )
            return _to_answer(found.response)
        except dns.resolver.NXDOMAIN as error:
            return _nonexistent(error)
        except FAILURES as error:
            if _is_of_shortage(error):
                raise ShortageError(str(error)) from error
            return TEMPFAIL


@dataclasses.dataclass(slots=True)
class _UnderWay:
    """A question in progress: when it was sent, or None while it waits for its turn."""

    since: float | None
    task: asyncio.Task[Answer | ShortageError] | None = None


class AsyncResolver:
    """Resolver for an event loop; a question in progress is not sent twice."""

    def __init__(
        self,
        settings: DnsSettings,
        cache: Cache | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._cache = new_cache(settings) if cache is None else cache
        self._monotonic = monotonic
        self._under_way: dict[Question, _UnderWay] = {}
        servers = [RecursiveServer(*server) for server in _servers(settings)]
        self._exchange = Exchange(servers, _patience(settings))

    def known(self, question: Question) -> Answer | None:
        """Return the answer if the cache has it."""
        known = self._cache.get(_lower(question))
        if known is not None:
            _HIT[known.rcode].inc()
        return known

    async def resolve(self, question: Question, deadline: float | None = None) -> Answer:
        """As `Resolver.resolve`; the deadline limits the wait, not the query itself, whose answer
        still reaches the cache. Raises `ShortageError`, also if most of the wait was for a turn,
        because that says nothing about the servers."""
        question = _lower(question)
        if (known := self._cache.get(question)) is not None:
            _HIT[known.rcode].inc()
            return known
        wait = None if deadline is None else deadline - self._monotonic()
        if wait is not None and wait <= 0:
            return TEMPFAIL
        one = self._under_way.get(question)
        if one is None:
            one = self._under_way[question] = _UnderWay(self._monotonic())
            one.task = asyncio.ensure_future(self._ask(question, one))
            one.task.add_done_callback(lambda _: self._under_way.pop(question, None))
        assert one.task is not None  # noqa: S101 # begun with the entry
        done, _ = await asyncio.wait([one.task], timeout=wait)  # it ends within settings.timeout
        if not done and self._has_waited(one, wait):
            raise ShortageError("too many DNS queries in progress")
        answer = one.task.result() if done else TEMPFAIL
        if isinstance(answer, ShortageError):
            # one exception for each waiting caller, because each needs its own traceback
            raise ShortageError(str(answer)) from answer
        return answer

    def within(
        self, seconds: float, reserved: float = 0.0
    ) -> Callable[[Question], Awaitable[Answer]]:
        """Like `Resolver.within`, for sequential questions."""
        budget = Budget(seconds, reserved, self._monotonic)

        async def ask(question: Question) -> Answer:
            with budget.spend(question) as deadline:
                return await self.resolve(question, deadline)

        return ask

    async def close(self) -> None:
        """Cancel the queries in progress."""
        tasks = [one.task for one in self._under_way.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_waited(self, one: _UnderWay, wait: float | None) -> bool:
        """Return whether the question waited for its turn for more than half of the elapsed
        time."""
        return one.since is None or self._monotonic() - one.since < (wait or 0) / 2

    async def _ask(self, question: Question, one: _UnderWay) -> Answer | ShortageError:
        def begin() -> None:
            if one.since is None:
                one.since = self._monotonic()

        if self._exchange.is_full:
            one.since = None
        try:
            answer = await self._ask_network(question, begin)
        except ShortageError as error:
            return error  # asyncio would report an exception if nobody waits any more
        _ASKED[answer.rcode].inc()
        self._cache.put(question, answer)
        return answer

    async def _ask_network(self, question: Question, begin: Callable[[], None]) -> Answer:
        name = to_name(question.name)
        if name is None:
            return NXDOMAIN
        timeout = self._settings.timeout
        response = await self._exchange.ask(name, question.rdtype, timeout, begin)
        try:
            return TEMPFAIL if response is None else _to_answer(response)
        except FAILURES:
            return TEMPFAIL
