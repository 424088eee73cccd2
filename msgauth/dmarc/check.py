"""The DMARC check of a message (RFC 9989 section 5.3).

A sender chooses the names that SPF and DKIM query, and can choose names that do not answer. So the
policy of the author domain is looked up first, with its own share of the time, and only identifiers
that could be aligned with it can leave the result open. That result then includes the policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, Protocol

from msgauth.ask import Lookup, Share
from msgauth.dmarc.author import Author
from msgauth.dmarc.record import Policy
from msgauth.dmarc.result import Alignment, DmarcResult
from msgauth.dmarc.subject import AuthorDomain, hardest_tag, select_tag
from msgauth.dmarc.walk import DnsError, Walker
from msgauth.domain import DomainError, to_alabels
from msgauth.results import DmarcStatus, Property
from msgauth.spf.result import SpfResult

MAX_AUTHORS = 5
"""Maximum author domains checked per message (RFC 9989 section 11.5)."""

MAX_IDENTIFIERS = 20
"""Maximum identifiers checked for alignment, those equal to the author's domain first. Only those
at or below the author's organizational domain need DNS queries."""

RESERVED: Final = 0.4
"""The fraction of the DNS time reserved for the policies of the author domains: enough for two
attempts at a slow server in the default of 20 seconds."""


class SignatureResult(Protocol):
    """The required part of the result of a DKIM signature."""

    @property
    def status(self) -> StrEnum:
        """A `msgauth.results.DkimStatus`."""

    @property
    def domain(self) -> str:
        """Its d=, or empty."""


class DmarcCheck:
    """The check of one message, in the order that leaves a sender the least influence.

    Run `find_policies` first, and `finish` when SPF and DKIM are known; in between, `alignable`
    returns the most important identifiers.
    """

    def __init__(self, author: Author) -> None:
        self._walker = Walker()
        self._problem = author.problem
        domains = author.domains
        if not author.problem and len(domains) > MAX_AUTHORS:
            self._problem = f"From has {len(domains)} domains"
        if self._problem:
            domains = ()
        # each has its own time, so that one with silent servers does not use up another's
        self._authors = [
            AuthorDomain(
                domain, self._walker.sharing(Share(f"dmarc {domain}", RESERVED / len(domains)))
            )
            for domain in domains
        ]

    def find_policies(self) -> Lookup[None]:
        """Look up the policy of each author domain.

        If there are several, each has its own part of the time. The first query of a domain with
        slow servers is then abandoned early, so it is repeated when the others are known: the
        answer may have arrived meanwhile.
        """
        for author in self._authors:
            yield from author.find_policy()
        if len(self._authors) > 1:
            for author in self._authors:
                if author.failure is not None:
                    yield from author.find_policy()

    def alignable(self, method: str, identifiers: Iterable[str]) -> Lookup[tuple[str, ...]]:
        """Return those of `identifiers` that could be aligned, equal ones first.

        `method` is dkim or spf, identifiers are in A-labels; each comes back once.
        """
        domains = {author.domain for author in self._authors}
        found = []
        for identifier in sorted(dict.fromkeys(identifiers), key=lambda one: one not in domains):
            for author in self._authors:
                if (yield from author.could_align(method, identifier)):
                    found.append(identifier)
                    break
        return tuple(found)

    def finish(self, dkim: Iterable[SignatureResult], spf: SpfResult | None) -> Lookup[DmarcResult]:
        """Return the result; for the arguments see `check_dmarc`."""
        if not self._authors:
            return DmarcResult("dmarc", DmarcStatus.PERMERROR, self._problem)
        seen = _Seen(dkim, spf)
        first, *others = self._authors
        worst = yield from _check_author(first, seen, self._walker)
        for author in others:
            other = yield from _check_author(author, seen, self._walker)
            worst = max(worst, other, key=_badness)
        if others:
            reason = f"of {len(self._authors)} author domains {worst.author_domain}: {worst.reason}"
            worst = replace(worst, reason=reason)
        return worst


def check_dmarc(
    author: Author, dkim: Iterable[SignatureResult], spf: SpfResult | None
) -> Lookup[DmarcResult]:
    """Check whether a passing identifier is aligned with the author of a message.

    `author` is the result of `find_author`. `dkim` has the results of all signatures, `spf` the one
    of the MAIL FROM identity; a result of the HELO identity does not count here (RFC 9989 section
    4.4.2).

    A message with several author domains is checked for each, and the worst result is its result
    (RFC 9989 section 11.5): a failure with the strictest policy first, then an unknown result, and
    "pass" only if all pass. A message without author domain, with more than one From, or with one
    that mail programs read as different domains, is "permerror".
    """
    check = DmarcCheck(author)
    yield from check.find_policies()
    return (yield from check.finish(dkim, spf))


_BADNESS = (
    DmarcStatus.PASS,
    DmarcStatus.NONE,
    DmarcStatus.FAIL,
    DmarcStatus.TEMPERROR,
    DmarcStatus.PERMERROR,
)


def _badness(result: DmarcResult) -> tuple[int, bool, int]:
    # A failure of a domain with p=none must not hide that another could not be checked.
    status = DmarcStatus(result.status)
    has_failed = result.disposition is not Policy.NONE and status is DmarcStatus.FAIL
    return result.disposition.severity, has_failed, _BADNESS.index(status)


class _Seen:
    """The identifiers of a message that passed, and those that might have."""

    def __init__(self, dkim: Iterable[SignatureResult], spf: SpfResult | None) -> None:
        self.passed: list[tuple[str, str]] = []
        self.undecided: list[tuple[str, str]] = []
        for signature in dkim:
            self._add("dkim", signature)
        if spf is not None and spf.identity == "mailfrom":
            self._add("spf", spf)

    def _add(self, method: str, result: SignatureResult) -> None:
        if result.status not in ("pass", "temperror"):
            return
        try:
            identifier = method, to_alabels(result.domain)
        except DomainError:
            return
        where = self.passed if result.status == "pass" else self.undecided
        if identifier not in where:
            where.append(identifier)


def _check_author(author: AuthorDomain, seen: _Seen, walker: Walker) -> Lookup[DmarcResult]:
    domain, found, failure = author.domain, author.found, author.failure

    def result(status: DmarcStatus, reason: str, **more: Any) -> DmarcResult:
        properties: tuple[Property, ...] = (Property("header", "from", domain),)
        if "disposition" in more:
            # RFC 9989 section 9.1
            properties += (Property("policy", "dmarc", more["disposition"]),)
        return DmarcResult("dmarc", status, reason, properties, domain, **more)

    if found is None or not found.record.usable:
        if failure is not None:
            return result(DmarcStatus.TEMPERROR, failure)
        if found is None:
            return result(DmarcStatus.NONE, f"{domain} has no DMARC record")
        # RFC 9989 section 4.10.1
        return result(DmarcStatus.NONE, f"the DMARC record of {found.domain} has no valid policy")
    record = found.record
    about: dict[str, Any] = {"policy_domain": found.domain, "record": record}
    if failure is not None:
        unknown = failure
        if any(author.is_related(*identifier) for identifier in seen.passed):
            # whatever the domain's own record says, a passing identifier speaks for this mail
            return result(DmarcStatus.TEMPERROR, unknown, **about)
    else:
        alignments, unknown = yield from _align(author, seen, walker)
        about["alignments"] = alignments
        for alignment in alignments:
            if alignment.aligned:
                reason = f"{alignment.method} of {alignment.domain} passed and is aligned"
                return result(DmarcStatus.PASS, reason, **about)
    try:
        tag, published = yield from select_tag(domain, found, author.walker)
    except DnsError as error:
        unknown = unknown or str(error)
        # the sender has chosen the name, so they could choose the milder one, too
        tag, published = hardest_tag(domain, found)
    disposition = published.one_level_down() if record.testing else published
    about |= {"policy_tag": tag, "published": published, "disposition": disposition}
    policy = f"{found.domain} has {tag}={published}" + (", t=y" if record.testing else "")
    if unknown:
        # RFC 9989 section 5.3.6: neither pass nor fail; what to do is up to the receiver
        return result(DmarcStatus.TEMPERROR, f"{unknown}; {policy}", **about)
    return result(DmarcStatus.FAIL, f"nothing that passed is aligned; {policy}", **about)


def _align(
    author: AuthorDomain, seen: _Seen, walker: Walker
) -> Lookup[tuple[tuple[Alignment, ...], str]]:
    """Return the alignment of the identifiers that passed, and why a result is unknown."""
    alignments = []
    unknown = ""
    # equal ones first: they need no query, and the others are limited in number
    for method, identifier in _equal_first(seen.passed, author.domain):
        try:
            aligned = yield from author.is_aligned(method, identifier, walker)
        except DnsError as error:
            unknown, aligned = str(error), False
        alignments.append(Alignment(method, identifier, aligned))
    if any(alignment.aligned for alignment in alignments):
        return tuple(alignments), ""
    for method, identifier in _equal_first(seen.undecided, author.domain):
        try:
            aligned = yield from author.is_aligned(method, identifier, walker)
        except DnsError:
            aligned = True
        if aligned:
            return tuple(alignments), unknown or f"{method} of {identifier} could not be checked"
    return tuple(alignments), unknown


def _equal_first(identifiers: list[tuple[str, str]], domain: str) -> list[tuple[str, str]]:
    return sorted(identifiers, key=lambda identifier: identifier[1] != domain)[:MAX_IDENTIFIERS]
