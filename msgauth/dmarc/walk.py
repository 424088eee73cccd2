"""The DNS tree walk (RFC 9989 section 4.10): DMARC records at a name and above it.

It finds the record that applies to a domain, and the organizational domain; before May 2026, the
public suffix list was used for the latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from msgauth.ask import Answer, Lookup, Question, Rcode, Share
from msgauth.dmarc.record import DmarcRecord, is_record, parse
from msgauth.domain import ancestors, count_labels, last_labels

MAX_QUERIES = 8
"""Maximum names queried in one walk (RFC 9989 section 4.10)."""


class DnsError(Exception):
    """DNS did not answer a question."""

    def __init__(self, question: Question) -> None:
        super().__init__(f"DNS gave no answer for {question.name} {question.rdtype}")


@dataclass(frozen=True, slots=True)
class Published:
    """A DMARC record and the domain it is published for."""

    domain: str
    record: DmarcRecord


Path: TypeAlias = tuple[Published, ...]
"""The records found by a walk, those of longer names first."""


def targets(domain: str) -> list[str]:
    """Return the names that a walk from `domain` queries, in order."""
    _, _, parent = domain.partition(".")
    # RFC 9989 section 4.10 step 4: from eight labels on, seven remain
    above = ancestors(last_labels(parent, MAX_QUERIES - 1)) if parent else ()
    return [domain, *above]


class Walker:
    """The walks for one message: a name in several walks is queried once.

    All questions have `share`. Walkers made by `sharing` share the answers, but not the failures in
    their own time.
    """

    def __init__(self, share: Share | None = None) -> None:
        self._share = share
        self._found: dict[str, Published | None] = {}
        self._failed: set[str] = set()
        self._existing: set[str] = set()

    def sharing(self, share: Share) -> Walker:
        """Return a walker that uses the time of `share`."""
        other = Walker(share)
        other._found, other._existing = self._found, self._existing
        return other

    def forget_failures(self) -> None:
        """Allow failed queries to be repeated."""
        self._failed.clear()

    def record_at(self, domain: str) -> Lookup[Published | None]:
        """Return the record published for `domain` itself. Raises `DnsError`."""
        if domain in self._found:
            return self._found[domain]
        question = Question(f"_dmarc.{domain}", "TXT", share=self._share)
        if domain in self._failed:
            raise DnsError(question)
        answer: Answer = yield question
        if answer.rcode is Rcode.TEMPFAIL:
            self._failed.add(domain)
            raise DnsError(question)
        if answer.rcode is Rcode.OK:
            self._existing.add(domain)
        found = self._found[domain] = _select(domain, answer)
        return found

    def walk(self, domain: str) -> Lookup[Path]:
        """Return the records at `domain` and above. Raises `DnsError`."""
        path = []
        for name in targets(domain):
            found = yield from self.record_at(name)
            if found is not None:
                path.append(found)
                # RFC 9989 section 4.10 steps 2 and 6
                if found.record.psd != "u":
                    break
        return tuple(path)

    def known_above(self, domain: str) -> Lookup[Path]:
        """Return the available records above `domain` after a failed walk.

        The names are queried from the top down, because an attacker who chose `domain` may control
        the servers of the names nearest to it.
        """
        path = []
        for name in reversed(targets(domain)[1:]):
            try:
                found = yield from self.record_at(name)
            except DnsError:
                continue
            if found is not None:
                path.append(found)
        return tuple(reversed(path))

    def organizational_domain(self, domain: str) -> Lookup[str]:
        """Return the organizational domain of `domain`. Raises `DnsError`."""
        return select_organizational_domain(domain, (yield from self.walk(domain)))

    def exists(self, domain: str) -> Lookup[bool]:
        """Return whether `domain` exists (RFC 9989 section 3.2.13, RFC 8020). Raises `DnsError`."""
        if domain in self._existing:
            return True  # something below it exists
        question = Question(domain, "A", share=self._share)
        answer: Answer = yield question
        if answer.rcode is Rcode.TEMPFAIL:
            raise DnsError(question)
        return answer.rcode is not Rcode.NXDOMAIN


def _select(domain: str, answer: Answer) -> Published | None:
    texts = [text for text in answer.records if is_record(text)]
    # RFC 9989 section 4.10: several records are all discarded, and the walk goes on
    return Published(domain, parse(texts[0])) if len(texts) == 1 else None


def select_organizational_domain(domain: str, path: Path) -> str:
    """Return the organizational domain of `domain`, from the records its walk found.

    RFC 9989 section 4.10.2.
    """
    for found in path:
        if found.record.psd == "n":
            return found.domain
        if found.record.psd == "y" and found.domain != domain:
            return last_labels(domain, count_labels(found.domain) + 1)
    return path[-1].domain if path else domain


def select_policy(domain: str, path: Path) -> Published | None:
    """Return the record that applies to `domain`, from the records its walk found.

    It is the domain's own, otherwise that of its organizational domain, otherwise that of its
    public suffix (RFC 9989 section 4.10.1).
    """
    organization = select_organizational_domain(domain, path)
    at = {found.domain: found for found in path}
    suffix = path[-1] if path and path[-1].record.psd == "y" else None
    return at.get(domain) or at.get(organization) or suffix
