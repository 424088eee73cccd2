"""The table `[milters.policy]`: the action for each result of the checks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gatepost.config import Hostname, Section

PolicyAction = Literal["accept", "tag", "quarantine", "defer", "reject"]
"""The action for a message, from the mildest to the hardest; see `milters.policy`."""


class DmarcPolicy(Section):
    """The action for each DMARC result other than `pass`."""

    none: PolicyAction | None = Field(default=None, description="No DMARC record applies.")
    fail_none: PolicyAction | None = Field(
        default=None, description="DMARC failed; the domain's policy is p=none."
    )
    fail_quarantine: PolicyAction | None = Field(
        default=None, description="DMARC failed; the domain's policy is p=quarantine."
    )
    fail_reject: PolicyAction | None = Field(
        default=None,
        description="DMARC failed; the domain's policy is p=reject. RFC 9989 section 7.4: this "
        "alone is no reason to reject, because mail from mailing lists would be lost.",
    )
    temperror: PolicyAction | None = Field(
        default=None,
        description="DNS did not answer for the record, or for data that could have made DMARC "
        "pass while the domain's policy is p=none.",
    )
    temperror_quarantine: PolicyAction | None = Field(
        default=None,
        description="Nothing aligned passed, DNS did not answer for data that could have made "
        "DMARC pass, and the domain's policy is p=quarantine. Not set: the action of the "
        "preset or of `temperror`, whichever is stricter.",
    )
    temperror_reject: PolicyAction | None = Field(
        default=None, description="As `temperror_quarantine`, but the domain's policy is p=reject."
    )
    permerror: PolicyAction | None = Field(
        default=None,
        description="DMARC cannot be evaluated: From is missing, malformed or there "
        "more than once.",
    )


class SpfPolicy(Section):
    """The action for each SPF result of MAIL FROM, unless DMARC passes or still could."""

    none: PolicyAction | None = Field(
        default=None, description="The domain publishes no SPF record."
    )
    neutral: PolicyAction | None = Field(
        default=None, description="The domain makes no statement (?all, or no mechanism matches)."
    )
    softfail: PolicyAction | None = Field(
        default=None, description="The client is probably not authorized (~all)."
    )
    fail: PolicyAction | None = Field(
        default=None, description="The client is not authorized (-all)."
    )
    temperror: PolicyAction | None = Field(default=None, description="DNS did not answer.")
    permerror: PolicyAction | None = Field(default=None, description="The record is invalid.")


class DkimPolicy(Section):
    """The action for each DKIM result when no signature passes."""

    none: PolicyAction | None = Field(default=None, description="There is no signature.")
    fail: PolicyAction | None = Field(
        default=None,
        description="No signature verifies. RFC 6376 section 6.1: treat this like a missing "
        "signature.",
    )
    policy: PolicyAction | None = Field(
        default=None,
        description="The best signature verifies but is ignored because of l= or a key below "
        "1024 bits.",
    )
    second_field: PolicyAction | None = Field(
        default=None,
        description="The best signature verifies but is ignored: a second field was added to a "
        "signed one that may only occur once, such as From, Subject or Content-Type (RFC "
        "6376 section 8.15). Not set: as `policy`.",
    )
    neutral: PolicyAction | None = Field(
        default=None, description="No signature is well-formed (RFC 6376), or none was checked."
    )
    temperror: PolicyAction | None = Field(
        default=None, description="DNS did not answer for a key."
    )
    permerror: PolicyAction | None = Field(
        default=None,
        description="No signature can be evaluated: missing key, rsa-sha1, or expired.",
    )


class ArcPolicy(Section):
    """The action for each ARC result."""

    fail: PolicyAction | None = Field(default=None, description="The ARC chain is broken.")
    temperror: PolicyAction | None = Field(
        default=None, description="DNS did not answer for a key."
    )


class IprevPolicy(Section):
    """The action for each result of the reverse lookup."""

    fail: PolicyAction | None = Field(
        default=None, description="The address has names, but none resolves back to it."
    )
    temperror: PolicyAction | None = Field(default=None, description="DNS did not answer.")
    permerror: PolicyAction | None = Field(default=None, description="The address has no name.")


class PolicySettings(Section):
    """The action for mail from outside, by method and result; the strictest one wins.

    Results that are not set come from the preset. `pass` is always accepted.
    """

    preset: Literal["default", "strict", "report"] = Field(
        default="default",
        description="`default`: DMARC failures are quarantined if the domain's policy is "
        "quarantine or reject (RFC 9989 section 7.4); other mail is accepted. `strict`: "
        "p=reject and SPF -all are rejected, DNS errors deferred. `report`: all mail is "
        "accepted.",
    )
    quarantine: Literal["header", "hold"] = Field(
        default="header",
        description="`header`: deliver the message with the field `X-Gatepost-Verdict: "
        "quarantine`, by which the mail store can file it. `hold`: put it into Postfix's "
        "hold queue.",
    )
    dmarc: DmarcPolicy = Field(default=DmarcPolicy(), description="By result of DMARC.")
    spf: SpfPolicy = Field(default=SpfPolicy(), description="By result of SPF.")
    dkim: DkimPolicy = Field(default=DkimPolicy(), description="By result of DKIM.")
    arc: ArcPolicy = Field(default=ArcPolicy(), description="By result of ARC.")
    iprev: IprevPolicy = Field(default=IprevPolicy(), description="By result of iprev.")
    trusted_sealers: tuple[Hostname, ...] = Field(
        default=(),
        description="Domains (d=) whose ARC seals are trusted: a DMARC failure of forwarded mail "
        "is ignored if they saw DMARC pass (RFC 8617 section 7.2.1).",
    )
