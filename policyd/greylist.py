"""Greylisting (RFC 6647): whether an attempt passes, decided without clock and store.

`decide()` gets what is known of a triplet (client identity, sender, recipient) and of the client,
the time, and the rules; it returns what is to be known from now on and a verdict. A record that it
returns unchanged (the same object) need not be written.

Times are whole seconds since the epoch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple


class Triplet(NamedTuple):
    """What is known of one triplet.

    `first` is its first attempt, `last` the last time that counts (see `Rules.refresh`), `passed`
    when it first passed, 0 while it has not.
    """

    first: int
    last: int
    passed: int = 0


class Client(NamedTuple):
    """What is known of one client identity: how often it came back, and when last.

    `returns` grows by at most one in `Rules.count_interval`, so that a burst of mail is one proof.
    """

    returns: int
    last: int


class Seen(NamedTuple):
    """What is known when an attempt is made."""

    triplet: Triplet | None
    client: Client | None


class Result(enum.StrEnum):
    """What an attempt is."""

    NEW = "new"
    """The first of its triplet, or the first after everything expired: deferred."""
    EARLY = "early"
    """Again, before the delay was over: deferred."""
    PASSED = "passed"
    """The first that came back in time: passes, and its mail says how long it waited."""
    KNOWN = "known"
    """Its triplet has passed before."""
    AUTO_ALLOWED = "auto-allowed"
    """Its client came back often enough to be trusted with new triplets."""


class Verdict(NamedTuple):
    """The result, with `wait`: seconds until it would pass; `delayed`: seconds since the first."""

    result: Result
    wait: int = 0
    delayed: int = 0

    @property
    def passes(self) -> bool:
        """Whether the mail may go on."""
        return self.result not in (Result.NEW, Result.EARLY)


@dataclass(frozen=True, slots=True)
class Rules:
    """All in seconds, except `auto_allow_after`."""

    delay: int = 300
    """Before a triplet passes. 0: nothing is deferred."""
    retry_window: int = 2 * 86400
    """After its first attempt a triplet has this long to come back (RFC 5321 section 4.5.4.1 asks
    senders to go on for four to five days; they retry often in the first hours)."""
    max_age: int = 35 * 86400
    """A triplet or client not seen for so long is forgotten: more than a month, so that monthly
    mail is delayed once."""
    auto_allow_after: int = 5
    """Returns of a client after which its mail is not delayed any more. 0: never."""
    count_interval: int = 3600
    """Two returns within this count as one."""
    refresh: int = 3600
    """`last` is only moved on when it is older than this: most attempts of known triplets then
    write nothing."""


_KNOWN = Verdict(Result.KNOWN)
_AUTO_ALLOWED = Verdict(Result.AUTO_ALLOWED)


def decide(seen: Seen, now: int, rules: Rules) -> tuple[Seen, Verdict]:
    """Decide one attempt."""
    triplet, client = seen
    if client is not None and now - client.last > rules.max_age:
        client = None
    if client is not None and 0 < rules.auto_allow_after <= client.returns:
        if now - client.last >= rules.refresh:
            client = client._replace(last=now)
        return Seen(triplet, client), _AUTO_ALLOWED
    if triplet is not None and _expired(triplet, now, rules):
        triplet = None
    if triplet is None:
        if rules.delay > 0:
            return Seen(Triplet(now, now), client), Verdict(Result.NEW, wait=rules.delay)
        return Seen(Triplet(now, now, now), client), _KNOWN
    if not triplet.passed:
        waited = now - triplet.first
        if waited < rules.delay:
            return Seen(triplet, client), Verdict(
                Result.EARLY, wait=rules.delay - waited, delayed=waited
            )
        return (
            Seen(Triplet(triplet.first, now, now), _returned(client, now, rules)),
            Verdict(Result.PASSED, delayed=waited),
        )
    if now - triplet.last >= rules.refresh:
        triplet = triplet._replace(last=now)
        client = _returned(client, now, rules)
    return Seen(triplet, client), _KNOWN


def _expired(triplet: Triplet, now: int, rules: Rules) -> bool:
    if triplet.passed:
        return now - triplet.last > rules.max_age
    # a first attempt in the future: the clock was set back, and waiting for it could take years
    return now - triplet.first > rules.retry_window or triplet.first > now


def _returned(client: Client | None, now: int, rules: Rules) -> Client:
    """The client after one more return."""
    if client is None:
        return Client(1, now)
    if now - client.last < rules.count_interval:
        return client
    return Client(client.returns + 1, now)


def triplet_expires(triplet: Triplet, rules: Rules) -> int:
    """When the triplet means nothing any more, in seconds since the epoch."""
    if triplet.passed:
        return triplet.last + rules.max_age + 1
    return triplet.first + rules.retry_window + 1


def client_expires(client: Client, rules: Rules) -> int:
    """When the client means nothing any more, in seconds since the epoch."""
    return client.last + rules.max_age + 1


def merge_triplets(one: Triplet, other: Triplet) -> Triplet:
    """What is known when both are true, as when two stores kept records of the same triplet."""
    passes = [record.passed for record in (one, other) if record.passed]
    return Triplet(min(one.first, other.first), max(one.last, other.last), min(passes, default=0))


def merge_clients(one: Client, other: Client) -> Client:
    """What is known when both are true; counts may tell of the same returns, so the larger one."""
    return Client(max(one.returns, other.returns), max(one.last, other.last))
