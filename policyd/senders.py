"""Lookup of the sender's domain: does it exist, and does it accept mail?"""

from __future__ import annotations

import enum
from typing import Final

from msgauth.ask import Answer, Lookup, Rcode, RdType, ask

_ADDRESSES: Final[tuple[RdType, ...]] = ("A", "AAAA")


class SenderDomain(enum.StrEnum):
    """The state of the sender's domain in DNS."""

    FINE = "fine"
    UNKNOWN = "unknown"
    """It has neither an MX record nor an address: no reply could be sent there."""
    NULL_MX = "null-mx"
    """It declares that it accepts no mail (RFC 7505)."""
    TEMPFAIL = "tempfail"
    """DNS did not answer."""


def check_sender_domain(domain: str) -> Lookup[SenderDomain]:
    """Look for MX, then A, then AAAA (RFC 5321 section 5.1) of a domain in A-labels."""
    answer = yield from ask(domain, "MX")
    if answer.rcode is Rcode.TEMPFAIL:
        return SenderDomain.TEMPFAIL
    if answer.records:
        return SenderDomain.NULL_MX if _is_null_mx(answer) else SenderDomain.FINE
    if answer.rcode is Rcode.NXDOMAIN:
        return SenderDomain.UNKNOWN  # RFC 8020: then it has no address either
    failed = False
    for rdtype in _ADDRESSES:
        answer = yield from ask(domain, rdtype)
        if answer.records:
            return SenderDomain.FINE
        failed = failed or answer.rcode is Rcode.TEMPFAIL
    return SenderDomain.TEMPFAIL if failed else SenderDomain.UNKNOWN


def _is_null_mx(answer: Answer) -> bool:
    # RFC 7505 section 3: a single record whose exchange is the root
    return len(answer.records) == 1 and answer.records[0].partition(" ")[2] in ("", ".")
