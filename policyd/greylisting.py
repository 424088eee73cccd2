"""Greylisting (RFC 6647): whether an attempt passes, decided without clock and store.

`decide()` takes the records of a triplet (client identity, sender, recipient) and of the client,
the time, and the rules; it returns the new records and a verdict. A record that it returns
unchanged (the same object) need not be written.

Times are whole seconds since the epoch.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple


class TripletRecord(NamedTuple):
    """The record of one triplet.

    `first` is the time of its first attempt, `last` the last time that counts (see
    `GreylistRules.refresh`), `passed` the time when it first passed, or 0.
    """

    first: int
    last: int
    passed: int = 0


class ClientRecord(NamedTuple):
    """The record of one client identity: how often it retried successfully, and when last.

    `returns` grows by at most one per `GreylistRules.count_interval`, so that a burst of mail
    counts once.
    """

    returns: int
    last: int


class GreylistRecords(NamedTuple):
    """The records when an attempt is made."""

    triplet: TripletRecord | None
    client: ClientRecord | None


class GreylistResult(enum.StrEnum):
    """The kind of an attempt."""

    NEW = "new"
    """The first of its triplet, or the first after everything expired: deferred."""
    EARLY = "early"
    """A retry before the delay was over: deferred."""
    PASSED = "passed"
    """The first retry in time: passes, and a header field says how long the mail waited."""
    KNOWN = "known"
    """Its triplet has passed before."""
    AUTO_ALLOWED = "auto-allowed"
    """Its client has retried often enough to be trusted with new triplets."""


class GreylistVerdict(NamedTuple):
    """The result, with `wait`: seconds until a retry passes; `delayed`: seconds since the first
    attempt."""

    result: GreylistResult
    wait: int = 0
    delayed: int = 0

    @property
    def passes(self) -> bool:
        """Return whether the mail is accepted."""
        return self.result not in (GreylistResult.NEW, GreylistResult.EARLY)


@dataclass(frozen=True, slots=True)
class GreylistRules:
    """All in seconds, except `auto_allow_after`."""

    delay: int = 300
    """Delay before a triplet passes. 0: nothing is deferred."""
    retry_window: int = 2 * 86400
    """A retry counts for this long after the first attempt (RFC 5321 section 4.5.4.1 asks senders
    to retry for four to five days; they retry often in the first hours)."""
    max_age: int = 35 * 86400
    """A triplet or client is forgotten when it has not been seen for this long: more than a month,
    so that monthly mail is delayed only once."""
    auto_allow_after: int = 5
    """Successful retries of a client after which its mail is no longer delayed. 0: never."""
    count_interval: int = 3600
    """Two retries within this time count as one."""
    refresh: int = 3600
    """`last` is only updated when it is older than this, so that most attempts of known triplets
    write nothing."""


_KNOWN = GreylistVerdict(GreylistResult.KNOWN)
_AUTO_ALLOWED = GreylistVerdict(GreylistResult.AUTO_ALLOWED)


def decide(
    seen: GreylistRecords, now: int, rules: GreylistRules
) -> tuple[GreylistRecords, GreylistVerdict]:
    """Decide one attempt."""
    triplet, client = seen
    if client is not None and now - client.last > rules.max_age:
        client = None
    if client is not None and 0 < rules.auto_allow_after <= client.returns:
        if now - client.last >= rules.refresh:
            client = client._replace(last=now)
        return GreylistRecords(triplet, client), _AUTO_ALLOWED
    if triplet is not None and _expired(triplet, now, rules):
        triplet = None
    if triplet is None:
        if rules.delay > 0:
            return GreylistRecords(TripletRecord(now, now), client), GreylistVerdict(
                GreylistResult.NEW, wait=rules.delay
            )
        return GreylistRecords(TripletRecord(now, now, now), client), _KNOWN
    if not triplet.passed:
        waited = now - triplet.first
        if waited < rules.delay:
            return GreylistRecords(triplet, client), GreylistVerdict(
                GreylistResult.EARLY, wait=rules.delay - waited, delayed=waited
            )
        return (
            GreylistRecords(TripletRecord(triplet.first, now, now), _returned(client, now, rules)),
            GreylistVerdict(GreylistResult.PASSED, delayed=waited),
        )
    if now - triplet.last >= rules.refresh:
        triplet = triplet._replace(last=now)
        client = _returned(client, now, rules)
    return GreylistRecords(triplet, client), _KNOWN


def _expired(triplet: TripletRecord, now: int, rules: GreylistRules) -> bool:
    if triplet.passed:
        return now - triplet.last > rules.max_age
    # the first attempt lies in the future: the clock was set back, and waiting could take years
    return now - triplet.first > rules.retry_window or triplet.first > now


def _returned(client: ClientRecord | None, now: int, rules: GreylistRules) -> ClientRecord:
    """Return the client's record after one more successful retry."""
    if client is None:
        return ClientRecord(1, now)
    if now - client.last < rules.count_interval:
        return client
    return ClientRecord(client.returns + 1, now)


def triplet_expires(triplet: TripletRecord, rules: GreylistRules) -> int:
    """Return when the triplet expires, in seconds since the epoch."""
    if triplet.passed:
        return triplet.last + rules.max_age + 1
    return triplet.first + rules.retry_window + 1


def client_expires(client: ClientRecord, rules: GreylistRules) -> int:
    """Return when the client expires, in seconds since the epoch."""
    return client.last + rules.max_age + 1


def merge_triplets(one: TripletRecord, other: TripletRecord) -> TripletRecord:
    """Merge two records of the same triplet, as from two stores."""
    passes = [record.passed for record in (one, other) if record.passed]
    return TripletRecord(
        min(one.first, other.first), max(one.last, other.last), min(passes, default=0)
    )


def merge_clients(one: ClientRecord, other: ClientRecord) -> ClientRecord:
    """Merge two records of the same client; both may have counted the same retries, so the larger
    count is kept."""
    return ClientRecord(max(one.returns, other.returns), max(one.last, other.last))
