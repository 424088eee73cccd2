"""What an SPF check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgauth.results import Finding

Identity: TypeAlias = Literal["mailfrom", "helo"]
"""Which of the client's claims was checked (RFC 7208 sections 2.3 and 2.4)."""


@dataclass(frozen=True, slots=True)
class SpfResult(Finding):
    """The result of one SPF check, with what a policy, a report or DMARC needs of it."""

    identity: Identity = "mailfrom"
    domain: str = ""
    """The domain checked, in A-labels; empty when there was none to check."""
    sender: str = ""
    """The address checked: a null reverse-path became postmaster at the HELO name."""
    mechanism: str = ""
    """The directive that matched, as published, such as ``-all``; "default" when none did, empty
    when the record was not evaluated to its end."""
    explanation: str = ""
    """On "fail", the text the domain offers for the SMTP reply (RFC 7208 section 6.2), printable
    ASCII of bounded length. It is the domain owner's text, not ours: show it as a quotation."""
