"""Finding about one name in DNS: its records, the expected ones, and a sentence."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from msgauth.ask import RdType

MAX_LISTED = 5
"""Maximum number of items listed in a sentence; others decide how many there are."""


class FindingLevel(enum.StrEnum):
    """Severity of a finding."""

    OK = "ok"
    """The records are as expected."""
    UNKNOWN = "unknown"
    """DNS gave no answer, so nothing is known."""
    WARNING = "warning"
    """Mail works, but not as well as it could."""
    ERROR = "error"
    """Mail is lost or refused, or forgeries pass."""


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """Result of the check of one record set.

    Records are in the form of `msgauth.ask.Answer`. `wanted` is empty where nothing is wished.
    """

    topic: str
    """MX, host, reverse name, SPF, DKIM, DMARC, MTA-STS, TLSRPT, TLSA, SRV or web name."""
    name: str
    """The name in A-labels, without the final dot."""
    type: RdType
    level: FindingLevel
    text: str
    """One sentence; text out of DNS may be in it."""
    found: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()


def unanswered(topic: str, name: str, rdtype: RdType, wanted: tuple[str, ...] = ()) -> DnsFinding:
    """Return the finding for a query without an answer, which proves nothing about the record."""
    text = f"DNS gave no answer for {name} {rdtype}, so it is not known what it says: try again."
    return DnsFinding(topic, name, rdtype, FindingLevel.UNKNOWN, text, (), wanted)


def listed(items: tuple[str, ...] | list[str]) -> str:
    """Write items as a list in a sentence: ``a, b and c``; of many only the first."""
    if len(items) > MAX_LISTED:
        items = [*items[:MAX_LISTED], f"{len(items) - MAX_LISTED} more"]
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part)
