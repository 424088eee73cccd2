"""Check for greylisting at RCPT: identifies the client, reads the store, and decides."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from email.utils import formatdate
from typing import Protocol, TypeAlias

from msgauth.mail_address import MailAddress
from policyd import records
from policyd.action import Action, defer_if_permit, prepend, refuse
from policyd.bounces import stable_sender
from policyd.checks import CheckResult
from policyd.checks.tables import addresses, clients
from policyd.facts import NO_FACTS, Facts
from policyd.greylist_exceptions import GreylistExceptions
from policyd.greylisting import (
    GreylistRecords,
    GreylistResult,
    GreylistRules,
    GreylistVerdict,
    decide,
    merge_clients,
    merge_triplets,
)
from policyd.helo import HeloForm, judge_helo
from policyd.hostnames import looks_generic
from policyd.identity import identify_client
from policyd.reasons import reply
from policyd.request import Request
from policyd.settings import GreylistSettings
from policyd.stores import Known, Store
from policyd.template import fields, fill, of_request

REASON_NEW = "greylist-new"
REASON_EARLY = "greylist-early"

RECENT_SECONDS = 60
"""Seconds for which a triplet that passed is not looked up again. For so long, an entry that
`gatepost greylist forget` removed may still pass, and the replicas of a store may differ."""
RECENT_ENTRIES = 50_000
"""Triplets and clients in each of the two generations that remember passes: some 20 MB when
full."""
HEADER_INSTANCES = 4096
"""Messages remembered as having their header field: Postfix asks once for each recipient."""
DEFERRALS = 4096
"""Maximum number of cached answers: two reasons for each second of a half-hour delay."""

Identify: TypeAlias = Callable[[Request, Facts], Awaitable[str]]
"""Returns an identity that takes a DNS query to find, or the empty string."""

_NOTHING = GreylistRecords(None, None)
_KNOWN = CheckResult("known")
_NOT_WANTED = CheckResult("recipient does not want it")
_AUTO_ALLOWED = CheckResult("auto-allowed")


class GreylistPreferences(Protocol):
    """The preferences of recipients."""

    def wants_greylisting(self, recipient: MailAddress) -> bool:
        """Return whether mail for a recipient is to be delayed."""

    def names(self, recipient: MailAddress) -> list[str]:
        """Return the mailboxes or aliases that an address may mean."""


class RecentPasses:
    """Keys that passed recently: two bounded generations of keys, each key with a time."""

    def __init__(self, size: int = RECENT_ENTRIES) -> None:
        self._size = size
        self._young: dict[str, float] = {}
        self._old: dict[str, float] = {}

    def fresh(self, key: str, now: float) -> bool:
        """Return whether `key` passed recently."""
        until = self._young.get(key) or self._old.get(key)
        return until is not None and until > now

    def note(self, key: str, until: float) -> None:
        """Remember `key` until the time `until`."""
        self._young[key] = until
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}


class GreylistCheck:
    """The check `greylist`.

    `store` does not fail (see `policyd.stores.guard.Fallback`). The functions in `identify` cost
    time, so they are called only before mail from a client without a host name is deferred.
    """

    name = "greylist"
    states = frozenset({"RCPT"})

    def __init__(
        self,
        settings: GreylistSettings,
        store: Store,
        hostname: str,
        identify: Sequence[Identify] = (),
        clock: Callable[[], float] = time.time,
        preferences: GreylistPreferences | None = None,
        exceptions: GreylistExceptions | None = None,
    ) -> None:
        self._settings = settings
        self._exceptions = exceptions
        self._preferences = preferences
        self._store = store
        self._hostname = hostname
        self._identify = tuple(identify)
        self._clock = clock
        self.rules = rules_of(settings)
        self._hide = hide_of(settings)
        self._by_host = "host" in settings.identities
        self._allow_clients = clients(settings.allow_clients, settings.allow_clients_files)
        self._allow_recipients = addresses(
            settings.allow_recipients, settings.allow_recipients_files
        )
        self._opt_in = (
            addresses(settings.opt_in_recipients, settings.opt_in_files)
            if settings.opt_in
            else None
        )
        self._recent = RecentPasses()
        self._with_header: OrderedDict[str, None] = OrderedDict()
        # A reply without macros has few different texts, so the answers are cached.
        self._same_for_all = fields(settings.text) <= {"seconds", "hostname"}
        self._deferrals: dict[tuple[str, int], CheckResult] = {}

    async def check(self, request: Request, facts: Facts = NO_FACTS) -> CheckResult | None:
        """Defer a first attempt; pass a retry after the delay."""
        if request.sasl_username:
            return None
        settings = self._settings
        client = identify_client(
            request.client_address,
            request.client_name if self._by_host else "",
            settings.ipv4_prefix,
            settings.ipv6_prefix,
        )
        if not client.network:
            return CheckResult("no client address")
        if exempt := self._exempt(request, facts):
            return exempt
        # one coroutine for everything, because nearly every request runs through here
        sender = stable_sender(request.sender)
        recipient = request.recipient.lower()
        now = self._clock()
        triplet_key = records.triplet_key(self._hide, client.best, sender, recipient)
        if self._recent.fresh(triplet_key, now):
            return _KNOWN
        client_key = records.client_key(self._hide, client.best)
        if self._recent.fresh(client_key, now):
            return _AUTO_ALLOWED
        identities = (client.host, client.network) if client.host else (client.network,)
        aliases = _aliases(request, client.address, identities[0])
        verdict = await self._ask_store(identities, aliases, sender, recipient, now)
        if not verdict.passes and not client.host and self._identify:
            verdict = await self._try_further(request, facts, verdict, sender, recipient, now)
        if verdict.result is GreylistResult.KNOWN:
            self._recent.note(triplet_key, now + RECENT_SECONDS)
        elif verdict.result is GreylistResult.AUTO_ALLOWED:
            self._recent.note(client_key, now + RECENT_SECONDS)
        return self._answer(request, verdict, now)

    def _exempt(self, request: Request, facts: Facts) -> CheckResult | None:
        if self._allow_clients and (
            entry := self._allow_clients.match(request.client, request.client_name)
        ):
            return CheckResult("client allowed", detail=entry)
        if self._allow_recipients and (
            entry := self._allow_recipients.match(request.recipient_address)
        ):
            return CheckResult("recipient opted out", detail=entry)
        if self._preferences is not None and not self._preferences.wants_greylisting(
            request.recipient_address
        ):
            return _NOT_WANTED
        if self._exceptions is not None and (entry := self._excepted(request)):
            return CheckResult("exempted", detail=entry)
        if self._opt_in is not None and not self._opt_in.match(request.recipient_address):
            return CheckResult("recipient not opted in")
        if self._settings.selective and not (
            facts.signals or suspicious(request, (self._hostname,))
        ):
            return CheckResult("unsuspicious")
        return None

    def _excepted(self, request: Request) -> str:
        """Return the exception of an administrator that matches, empty if none does."""
        assert self._exceptions is not None  # noqa: S101
        domains: list[str] = []
        if self._exceptions.by_domain:
            recipient = request.recipient_address
            names = [] if self._preferences is None else self._preferences.names(recipient)
            # behind an alias domain stands the domain that has the exception
            domains = [recipient.host, *(name.rpartition("@")[2] for name in names)]
        return self._exceptions.match(
            request.client, request.client_name, request.sender_address, dict.fromkeys(domains)
        )

    async def _try_further(
        self,
        request: Request,
        facts: Facts,
        verdict: GreylistVerdict,
        sender: str,
        recipient: str,
        now: float,
    ) -> GreylistVerdict:
        """Return the verdict for an identity that needs a DNS query, if it is better."""
        for identify in self._identify:
            if further := await identify(request, facts):
                aliases = _aliases(request, str(request.client), further)
                better = await self._ask_store((further,), aliases, sender, recipient, now)
                if better.passes:
                    return better
        return verdict

    def _ask_store(
        self,
        identities: Sequence[str],
        aliases: Sequence[str],
        sender: str,
        recipient: str,
        now: float,
    ) -> Awaitable[GreylistVerdict]:
        """Decide from the records of all identities; save the new record under the first.

        Aliases from the client's address and name to that identity make the record searchable.
        """
        hide, rules = self._hide, self.rules
        keys = [
            *[records.triplet_key(hide, one, sender, recipient) for one in identities],
            *[records.client_key(hide, one) for one in identities],
            *[records.alias_key(hide, one) for one in aliases],
        ]
        count = len(identities)
        identity = hide(identities[0])
        seconds = int(now)

        def change(known: Known) -> tuple[Known, GreylistVerdict]:
            seen = _together(known, count)
            after, verdict = decide(seen, seconds, rules)
            entries = list(known)
            if after.triplet is not None and after.triplet is not seen.triplet:
                entries[0] = records.triplet_entry(after.triplet, rules)
            if after.client is not None and after.client is not seen.client:
                entries[count] = records.client_entry(after.client, rules)
            # write an alias together with its record, or if it does not point to the record yet
            written = entries[0] is not known[0] or entries[count] is not known[count]
            for n in range(2 * count, len(entries)):
                if written or identity not in records.read_alias(known[n]):
                    entries[n] = records.alias_entry(known[n], identity, seconds + rules.max_age)
            return entries, verdict

        return self._store.update(keys, change)

    def _answer(self, request: Request, verdict: GreylistVerdict, now: float) -> CheckResult:
        result = verdict.result
        if result is GreylistResult.KNOWN:
            return _KNOWN
        if result is GreylistResult.AUTO_ALLOWED:
            return _AUTO_ALLOWED
        if result is GreylistResult.PASSED:
            detail = f"after {verdict.delayed} s"
            if not self._settings.header or self._had_header(request.instance):
                return CheckResult("passed", detail=detail)
            return CheckResult("passed", self._header(verdict.delayed, now), detail=detail)
        reason = REASON_NEW if result is GreylistResult.NEW else REASON_EARLY
        key = (reason, verdict.wait)
        if (known := self._deferrals.get(key)) is not None:
            return known
        deferral = CheckResult(
            result.value, self._defer(request, verdict, reason), reason, f"wait {verdict.wait} s"
        )
        if self._same_for_all and len(self._deferrals) < DEFERRALS:
            self._deferrals[key] = deferral
        return deferral

    def _had_header(self, instance: str) -> bool:
        if not instance:
            return False
        if instance in self._with_header:
            return True
        self._with_header[instance] = None
        if len(self._with_header) > HEADER_INSTANCES:
            self._with_header.popitem(last=False)
        return False

    def _header(self, delayed: int, now: float) -> Action:
        date = formatdate(now, localtime=True)
        return prepend(
            "X-Greylist", f"delayed {delayed} seconds by gatepost at {self._hostname}; {date}"
        )

    def _defer(self, request: Request, verdict: GreylistVerdict, reason: str) -> Action:
        text = fill(
            self._settings.text,
            of_request(request, self._hostname)
            | {
                "seconds": verdict.wait,
                "domain": request.recipient_address.host,
            },
        )
        told = reply(reason, text, temporary=True)
        if self._settings.action == "defer_if_permit":
            return defer_if_permit(told)
        return refuse(told)


def _aliases(request: Request, address: str, identity: str) -> list[str]:
    """Return the names by which an administrator may search, except the identity itself."""
    aliases = []
    if not identity.startswith("net:"):
        aliases.append(address)
    if (name := request.client_name) and not identity.startswith("host:"):
        aliases.append(name.lower().rstrip("."))
    return aliases


def suspicious(request: Request, own_names: Collection[str]) -> bool:
    """Return whether a client's names look odd enough for selective greylisting."""
    address, name = request.client, request.client_name
    if not name or looks_generic(address, name):
        return True
    return judge_helo(request.helo_name, address, own_names, ()) is not HeloForm.FINE


def rules_of(settings: GreylistSettings) -> GreylistRules:
    """Return the rules from the settings; a short `max_age` updates `last` more often."""
    return GreylistRules(
        delay=int(settings.delay),
        retry_window=int(settings.retry_window),
        max_age=int(settings.max_age),
        auto_allow_after=settings.auto_allow_clients,
        refresh=max(1, min(3600, int(settings.max_age) // 10)),
    )


def hide_of(settings: GreylistSettings) -> records.Hide:
    """Return the function that hides names in the store; raises `OSError` or `ValueError`."""
    if settings.privacy_key_file is None:
        return records.plain
    return records.hashed(settings.privacy_key_file.read())


def _together(known: Known, count: int) -> GreylistRecords:
    """Return the records of several identities, merged into one."""
    if not any(known):
        return _NOTHING
    triplet = records.read_triplet(known[0])
    client = records.read_client(known[count])
    for n in range(1, count):
        other = records.read_triplet(known[n])
        if other is not None:
            triplet = other if triplet is None else merge_triplets(triplet, other)
        other_client = records.read_client(known[count + n])
        if other_client is not None:
            client = other_client if client is None else merge_clients(client, other_client)
    return GreylistRecords(triplet, client)
