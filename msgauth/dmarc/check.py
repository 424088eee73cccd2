"""The DMARC check of a message (RFC 9989 section 5.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol

from msgauth.ask import Lookup
from msgauth.dmarc.author import Author
from msgauth.dmarc.record import Policy, Record
from msgauth.dmarc.result import Alignment, DmarcResult
from msgauth.dmarc.walk import DnsError, Published, Walker, select_policy
from msgauth.domain import DomainError, is_at_or_below, last_labels, to_alabels
from msgauth.results import DmarcStatus, Property
from msgauth.spf.result import SpfResult

MAX_AUTHORS = 5
"""How many author domains of one message are checked (RFC 9989 section 11.5)."""

MAX_IDENTIFIERS = 20
"""How many identifiers are checked for alignment, those equal to the author's domain first. Only
one at or below the author's organizational domain costs questions to the DNS."""


class Signature(Protocol):
    """What is needed of the result of a DKIM signature."""

    @property
    def status(self) -> StrEnum:
        """A `msgauth.results.DkimStatus`."""

    @property
    def domain(self) -> str:
        """Its d=, empty when there is none."""


def check_dmarc(
    author: Author, dkim: Iterable[Signature], spf: SpfResult | None
) -> Lookup[DmarcResult]:
    """Check whether something that passed speaks for the author of a message.

    `dkim` has the results of all signatures, `spf` the one of the MAIL FROM identity; a result of
    the HELO identity counts for nothing here (RFC 9989 section 4.4.2).

    A message with several author domains is checked for each, and the worst result is its result
    (RFC 9989 section 11.5): one that fails before one that is not known, and "pass" only when
    all do. A message without author domain, or with more than one From, is "permerror".
    """
    if author.problem or not author.domains:
        return DmarcResult("dmarc", DmarcStatus.PERMERROR, author.problem)
    if len(author.domains) > MAX_AUTHORS:
        reason = f"From has {len(author.domains)} domains"
        return DmarcResult("dmarc", DmarcStatus.PERMERROR, reason)
    seen = _Seen(dkim, spf)
    walker = Walker()
    first, *others = author.domains
    worst = yield from _check_author(first, seen, walker)
    for domain in others:
        other = yield from _check_author(domain, seen, walker)
        worst = max(worst, other, key=_badness)
    if others:
        reason = f"of {len(author.domains)} author domains {worst.author_domain}: {worst.reason}"
        worst = replace(worst, reason=reason)
    return worst


_BADNESS = (
    DmarcStatus.PASS,
    DmarcStatus.NONE,
    DmarcStatus.PERMERROR,
    DmarcStatus.TEMPERROR,
    DmarcStatus.FAIL,
)


def _badness(result: DmarcResult) -> tuple[int, int]:
    return _BADNESS.index(DmarcStatus(result.status)), result.disposition.severity


class _Seen:
    """The identifiers of a message: which passed, and which might have."""

    def __init__(self, dkim: Iterable[Signature], spf: SpfResult | None) -> None:
        self.passed: list[tuple[str, str]] = []
        self.undecided: list[tuple[str, str]] = []
        for signature in dkim:
            self._add("dkim", signature)
        if spf is not None and spf.identity == "mailfrom":
            self._add("spf", spf)

    def _add(self, method: str, result: Signature) -> None:
        if result.status not in ("pass", "temperror"):
            return
        try:
            identifier = method, to_alabels(result.domain)
        except DomainError:
            return
        where = self.passed if result.status == "pass" else self.undecided
        if identifier not in where:
            where.append(identifier)


def _check_author(domain: str, seen: _Seen, walker: Walker) -> Lookup[DmarcResult]:
    def result(status: DmarcStatus, reason: str, **more: Any) -> DmarcResult:
        properties: tuple[Property, ...] = (Property("header", "from", domain),)
        if status is DmarcStatus.FAIL:
            # RFC 9989 section 9.1
            properties += (Property("policy", "dmarc", more["disposition"]),)
        return DmarcResult("dmarc", status, reason, properties, domain, **more)

    try:
        found = yield from _find_policy(domain, walker)
    except DnsError as error:
        return result(DmarcStatus.TEMPERROR, str(error))
    if found is None:
        return result(DmarcStatus.NONE, f"{domain} has no DMARC record")
    record = found.record
    if not record.usable:
        # RFC 9989 section 4.10.1
        return result(DmarcStatus.NONE, f"the DMARC record of {found.domain} has no valid policy")
    alignments, unknown = yield from _align(domain, record, seen, walker)
    about = {"policy_domain": found.domain, "record": record, "alignments": alignments}
    for alignment in alignments:
        if alignment.aligned:
            reason = f"{alignment.method} of {alignment.domain} passed and is aligned"
            return result(DmarcStatus.PASS, reason, **about)
    if unknown:
        # RFC 9989 section 5.3.6: neither pass nor fail
        return result(DmarcStatus.TEMPERROR, unknown, **about)
    tag, published = yield from select_tag(domain, found, walker)
    disposition = published.one_level_down() if record.testing else published
    reason = f"nothing that passed is aligned; {found.domain} has {tag}={published}"
    if record.testing:
        reason += ", t=y"
    about |= {"policy_tag": tag, "published": published, "disposition": disposition}
    return result(DmarcStatus.FAIL, reason, **about)


def _find_policy(domain: str, walker: Walker) -> Lookup[Published | None]:
    # RFC 9989 section 4.10.1
    own = yield from walker.record_at(domain)
    return own or select_policy(domain, (yield from walker.walk(domain)))


def _align(
    domain: str, record: Record, seen: _Seen, walker: Walker
) -> Lookup[tuple[tuple[Alignment, ...], str]]:
    """Return what became of the identifiers that passed, and why something is not known."""
    alignments = []
    unknown = ""
    # equal ones first: they need no question, and the others are bounded in number
    passed = sorted(seen.passed, key=lambda identifier: identifier[1] != domain)
    for method, identifier in passed[:MAX_IDENTIFIERS]:
        try:
            aligned = yield from _is_aligned(domain, record, method, identifier, walker)
        except DnsError as error:
            unknown, aligned = str(error), False
        alignments.append(Alignment(method, identifier, aligned))
    if any(alignment.aligned for alignment in alignments):
        return tuple(alignments), ""
    for method, identifier in seen.undecided[:MAX_IDENTIFIERS]:
        try:
            aligned = yield from _is_aligned(domain, record, method, identifier, walker)
        except DnsError:
            aligned = True
        if aligned:
            unknown = f"{method} of {identifier} could not be checked"
    return tuple(alignments), unknown


def _is_aligned(
    domain: str, record: Record, method: str, identifier: str, walker: Walker
) -> Lookup[bool]:
    # RFC 9989 sections 3.2.10 and 4.10.2
    if identifier == domain:
        return True
    if record.strict_dkim if method == "dkim" else record.strict_spf:
        return False
    if last_labels(identifier, 1) != last_labels(domain, 1):
        return False  # they have no ancestor in common
    organization = yield from walker.organizational_domain(domain)
    if not is_at_or_below(identifier, organization):
        return False
    return (yield from walker.organizational_domain(identifier)) == organization


def select_tag(domain: str, found: Published, walker: Walker) -> Lookup[tuple[str, Policy]]:
    """Return the tag that holds the policy for `domain`, and the policy (RFC 9989 section 4.10.1).

    Whether `domain` exists is asked only where np= would say something else than sp= or p=.
    """
    record = found.record
    if found.domain == domain:
        return "p", record.p
    existing = ("p", record.p) if record.sp is None else ("sp", record.sp)
    if record.np is None or record.np is existing[1]:
        return existing
    missing = "np", record.np
    try:
        return existing if (yield from walker.exists(domain)) else missing
    except DnsError:
        # Which of the two is meant cannot be told: the milder one never bounces mail wrongly.
        return min(existing, missing, key=lambda choice: choice[1].severity)
