"""Preferences of a recipient about spam and viruses, from the snapshot `recipients` of accounts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from gatepost.snapshots.names import fold
from msgauth.mail_address import MailAddress


class MailboxPreferences(NamedTuple):
    """The preferences of one mailbox."""

    spam_check: bool = True
    virus_check: bool = True
    junk_score: float | None = None
    """Score from which mail goes to Junk; None: as the site says."""
    allow: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()
    """Senders: addresses, or ``@`` and a domain."""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> MailboxPreferences:
        """Return the preferences in a record; values of a wrong type count as unset."""
        score = record.get("spam_junk_score")
        number = None
        if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
            number = float(score)
        return cls(
            spam_check=record.get("spam_check") is not False,
            virus_check=record.get("virus_check") is not False,
            junk_score=number,
            allow=_texts(record.get("allow")),
            block=_texts(record.get("block")),
        )


def lists(patterns: Collection[str], address: MailAddress) -> bool:
    """Return whether a list of senders has an address, or its domain."""
    if not patterns or not address.domain:
        return False
    name = f"{fold(address.unquoted_local)}@{address.domain}"
    return name in patterns or f"@{address.domain}" in patterns


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        return frozenset()
    return frozenset(one for one in value if isinstance(one, str))
