"""Results of a DMARC check."""

from __future__ import annotations

from dataclasses import dataclass

from msgauth.dmarc.record import DmarcRecord, Policy
from msgauth.results import Finding


@dataclass(frozen=True, slots=True)
class Alignment:
    """One authenticated identifier, and whether it is aligned with the author (RFC 9989 section
    4.4)."""

    method: str
    """dkim or spf."""
    domain: str
    """The signature's d=, or the domain of MAIL FROM; in A-labels."""
    aligned: bool


@dataclass(frozen=True, slots=True)
class DmarcResult(Finding):
    """The result of DMARC for one author domain, with the data for a policy or a report."""

    author_domain: str = ""
    """The domain in From, in A-labels, or empty."""
    policy_domain: str = ""
    """The domain of the record; empty if none applies."""
    record: DmarcRecord | None = None
    """That record."""
    policy_tag: str = ""
    """The tag of the record with the policy: p, sp or np; empty if irrelevant."""
    published: Policy = Policy.NONE
    """The policy that this tag publishes."""
    disposition: Policy = Policy.NONE
    """The policy for this message: the published policy, one level down if the owner is testing,
    and "none" unless the status is "fail", or "temperror" with a known policy and no passing
    identifier aligned. It is a request: RFC 9989 section 7.4 tells receivers not to reject because
    of it alone."""
    alignments: tuple[Alignment, ...] = ()
    """The identifiers that passed."""

    @property
    def testing(self) -> bool:
        """Whether the domain owner is testing the policy (tag t=y)."""
        return self.record is not None and self.record.testing

    def is_aligned(self, method: str) -> bool:
        """Return whether an identifier of `method`, dkim or spf, passed and is aligned."""
        return any(a.aligned for a in self.alignments if a.method == method)
