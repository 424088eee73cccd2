"""Results of an SPF check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgauth.results import Finding

Identity: TypeAlias = Literal["mailfrom", "helo"]
"""The checked identity (RFC 7208 sections 2.3 and 2.4)."""


@dataclass(frozen=True, slots=True)
class SpfResult(Finding):
    """The result of one SPF check, with the data for a policy, a report or DMARC."""

    identity: Identity = "mailfrom"
    domain: str = ""
    """The checked domain in A-labels, or empty."""
    sender: str = ""
    """The checked address: for a null reverse-path, postmaster at the HELO name."""
    mechanism: str = ""
    """The directive that matched, as published, such as ``-all``; "default" if none did, empty if
    the evaluation did not complete."""
    explanation: str = ""
    """On "fail", the text the domain offers for the SMTP reply (RFC 7208 section 6.2), printable
    ASCII of bounded length. It is the domain owner's text, not ours: show it as a quotation."""
