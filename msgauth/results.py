"""Results of the methods of mail authentication.

Every status is exactly the keyword in an Authentication-Results header field (RFC 8601 section
2.7). A `Finding` has the status, one sentence with the reason, and the properties shown in the
field; the results of the methods are subclasses with more data.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DkimStatus(enum.StrEnum):
    """Result of one DKIM signature (RFC 8601 section 2.7.1)."""

    NONE = "none"
    """The message was not signed."""
    PASS = "pass"
    """The signature verified and is acceptable to us."""
    FAIL = "fail"
    """The signature did not verify: the message or the signature was changed."""
    POLICY = "policy"
    """The signature verified, but local policy ignores it."""
    NEUTRAL = "neutral"
    """The signature has syntax errors or could not be processed."""
    TEMPERROR = "temperror"
    """A temporary failure, such as an unanswered DNS query; a later check may succeed."""
    PERMERROR = "permerror"
    """A permanent failure, such as a missing key record."""


class SpfStatus(enum.StrEnum):
    """Result of an SPF check (RFC 7208 section 2.6, RFC 8601 section 2.7.2)."""

    NONE = "none"
    """There is no SPF record, or no domain to check."""
    NEUTRAL = "neutral"
    """The domain makes no statement about the client."""
    PASS = "pass"
    """The client is authorized to send for the domain."""
    FAIL = "fail"
    """The domain says that the client is not authorized."""
    SOFTFAIL = "softfail"
    """The domain says that the client is probably not authorized."""
    TEMPERROR = "temperror"
    """DNS did not answer in time."""
    PERMERROR = "permerror"
    """The record is broken or needs too many look-ups."""
    POLICY = "policy"
    """The check passed, but local policy ignores it."""


class DmarcStatus(enum.StrEnum):
    """Result of a DMARC check (RFC 9989, RFC 8601 section 2.7.4 and its registry)."""

    NONE = "none"
    """No DMARC record applies to the author's domain."""
    PASS = "pass"
    """A passing, aligned DKIM or SPF identifier was found."""
    FAIL = "fail"
    """A record applies and nothing aligned passed."""
    TEMPERROR = "temperror"
    """DNS did not answer for data that could have made it pass, or for the record."""
    PERMERROR = "permerror"
    """The message or the record cannot be evaluated, for example without exactly one author."""


class ArcStatus(enum.StrEnum):
    """Result of an ARC chain (RFC 8617 section 4.4)."""

    NONE = "none"
    """The message has no ARC set."""
    PASS = "pass"
    """The chain is whole and its newest message signature verifies."""
    FAIL = "fail"
    """The chain is broken."""
    TEMPERROR = "temperror"
    """DNS did not answer for a key of the chain; nothing is known (RFC 8617 section 5.2)."""


class IprevStatus(enum.StrEnum):
    """Result of the reverse lookup of the client's address (RFC 8601 section 2.7.3)."""

    PASS = "pass"
    """A name of the address resolves back to the address."""
    FAIL = "fail"
    """The address has names, but none resolves back to it."""
    TEMPERROR = "temperror"
    """DNS did not answer."""
    PERMERROR = "permerror"
    """The address has no name."""


@dataclass(frozen=True, slots=True)
class Property:
    """One ``ptype.name=value`` of an Authentication-Results field (RFC 8601 section 2.2)."""

    ptype: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one method: exactly one ``method=status`` of an Authentication-Results field.

    `reason` is one sentence for people, also shown in the field, or empty.
    """

    method: str
    status: DkimStatus | SpfStatus | DmarcStatus | ArcStatus | IprevStatus
    reason: str = ""
    properties: tuple[Property, ...] = ()
