"""One author domain: its policy, and the identifiers that may be aligned with it."""

from __future__ import annotations

from msgauth.ask import Lookup
from msgauth.dmarc.record import DmarcRecord, Policy
from msgauth.dmarc.walk import (
    DnsError,
    Published,
    Walker,
    select_organizational_domain,
    select_policy,
)
from msgauth.domain import is_at_or_below, last_labels


class AuthorDomain:
    """An author domain whose policy is looked up before anything else.

    `walker` has its own share of the time. After `find_policy`, `found` is the record that applies,
    or None; `failure` names a query on the path to it that DNS did not answer. `found` then applies
    unless the name that did not answer has another record.
    """

    def __init__(self, domain: str, walker: Walker) -> None:
        self.domain = domain
        self.walker = walker
        self.found: Published | None = None
        self.failure: str | None = None
        self._organization = ""

    def find_policy(self) -> Lookup[None]:
        """Find the record that applies (RFC 9989 section 4.10.1); may be called again."""
        domain, walker = self.domain, self.walker
        walker.forget_failures()
        self.failure = None
        try:
            own = yield from walker.record_at(domain)
            self.found = own or select_policy(domain, (yield from walker.walk(domain)))
        except DnsError as error:
            # only the text: an exception keeps its frames, and they keep the message
            self.failure = str(error)
            known = yield from walker.known_above(domain)
            self.found = select_policy(domain, known)
            self._organization = select_organizational_domain(domain, known)

    def could_align(self, method: str, identifier: str) -> Lookup[bool]:
        """Return whether `identifier` could be aligned, as far as known without a query about it.

        `method` is dkim or spf. It only uses the author domain's share of the time.
        """
        if identifier == self.domain:
            return True
        try:
            return bool((yield from self._organization_of_both(method, identifier)))
        except DnsError:
            return True

    def is_aligned(self, method: str, identifier: str, others: Walker) -> Lookup[bool]:
        """Return whether `identifier` is aligned (RFC 9989 sections 3.2.10 and 4.10.2).

        `others` walks from `identifier`. Raises `DnsError`.
        """
        if identifier == self.domain:
            return True
        organization = yield from self._organization_of_both(method, identifier)
        if not organization:
            return False
        return (yield from others.organizational_domain(identifier)) == organization

    def _organization_of_both(self, method: str, identifier: str) -> Lookup[str]:
        """Return the author's organizational domain if `identifier` may have the same, otherwise
        empty."""
        if self.failure is None and (self.found is None or is_strict(self.found.record, method)):
            return ""  # without a record, or by a strict one, only the same domain is aligned
        if last_labels(identifier, 1) != last_labels(self.domain, 1):
            return ""  # they have no ancestor in common
        organization = yield from self.walker.organizational_domain(self.domain)
        return organization if is_at_or_below(identifier, organization) else ""

    def is_related(self, method: str, identifier: str) -> bool:
        """Return whether `identifier` would be aligned by the records found.

        For an author domain whose own record could not be fetched.
        """
        if identifier == self.domain:
            return True
        if self.found is None or is_strict(self.found.record, method):
            return False
        return is_at_or_below(identifier, self._organization)


def is_strict(record: DmarcRecord, method: str) -> bool:
    """Return whether only the same domain is aligned (RFC 9989 section 4.7, adkim and aspf)."""
    return record.strict_dkim if method == "dkim" else record.strict_spf


def select_tag(domain: str, found: Published, walker: Walker) -> Lookup[tuple[str, Policy]]:
    """Return the tag with the policy for `domain`, and the policy (RFC 9989 section 4.10.1).

    The existence of `domain` is only queried if np= differs from sp= or p=. Raises `DnsError` if
    DNS does not answer.
    """
    existing, missing = _choices(domain, found)
    if missing[1] is existing[1]:
        return existing
    return existing if (yield from walker.exists(domain)) else missing


def hardest_tag(domain: str, found: Published) -> tuple[str, Policy]:
    """Return the tag with the strictest policy that could apply to `domain`, and that policy."""
    return max(_choices(domain, found), key=lambda choice: choice[1].severity)


def _choices(domain: str, found: Published) -> tuple[tuple[str, Policy], tuple[str, Policy]]:
    """Return tag and policy for `domain` if it exists, and if it does not."""
    record = found.record
    if found.domain == domain:
        return ("p", record.p), ("p", record.p)
    existing = ("p", record.p) if record.sp is None else ("sp", record.sp)
    return existing, existing if record.np is None else ("np", record.np)
