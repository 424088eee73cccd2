"""Preferences of a recipient about spam and viruses, from the snapshot `recipients` of accounts.

Those of the mailbox come first, then those of its domain.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gatepost.filter_preferences import read_languages, read_rule_scores, read_tag
from gatepost.snapshots.names import fold
from msgauth.mail_address import MailAddress


class ScanWishes(NamedTuple):
    """Preferences that change a scan: recipients with the same can share one."""

    languages: tuple[str, ...] = ()
    """Languages that mail may have; none: as the scanner is configured."""
    rule_scores: tuple[tuple[str, float], ...] = ()
    """Scores of rules by their names, which are sorted."""


NO_WISHES: Final = ScanWishes()


class MailboxPreferences(NamedTuple):
    """The preferences of one mailbox."""

    spam_check: bool = True
    virus_check: bool = True
    junk_score: float | None = None
    """Score from which mail goes to Junk; None: as the site says."""
    allow: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()
    """Senders: addresses, or ``@`` and a domain."""
    domain_allow: frozenset[str] = frozenset()
    domain_block: frozenset[str] = frozenset()
    """The same for all mailboxes of the domain."""
    subject_tag: str = ""
    """Text before the subject of mail that goes to Junk."""
    wishes: ScanWishes = NO_WISHES

    @classmethod
    def read(
        cls, record: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
    ) -> MailboxPreferences:
        """Return the preferences in the records of a mailbox and of its domain.

        Values of a wrong type or form count as unset.
        """
        junk_score, tag = _number(record), _tag(record)
        scores = dict(sorted((_scores(defaults) | _scores(record)).items()))
        return cls(
            spam_check=record.get("spam_check") is not False,
            virus_check=record.get("virus_check") is not False,
            junk_score=_number(defaults) if junk_score is None else junk_score,
            allow=_texts(record.get("allow")),
            block=_texts(record.get("block")),
            domain_allow=_texts(defaults.get("allow")),
            domain_block=_texts(defaults.get("block")),
            subject_tag=(_tag(defaults) if tag is None else tag) or "",
            wishes=ScanWishes(_languages(record) or _languages(defaults), tuple(scores.items())),
        )

    def allows(self, author: MailAddress) -> bool:
        """Return whether mailbox or domain allow an author; the caller has to know that it is the
        author."""
        return lists(self.allow, author) or lists(self.domain_allow, author)


def lists(patterns: Collection[str], address: MailAddress) -> bool:
    """Return whether a list of senders has an address, or its domain."""
    if not patterns or not address.domain:
        return False
    name = f"{fold(address.unquoted_local)}@{address.domain}"
    return name in patterns or f"@{address.domain}" in patterns


def _number(record: Mapping[str, Any]) -> float | None:
    score = record.get("spam_junk_score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        return None
    return float(score)


def _languages(record: Mapping[str, Any]) -> tuple[str, ...]:
    value = record.get("languages")
    try:
        return read_languages(value) if isinstance(value, list) else ()
    except ValueError:
        return ()


def _scores(record: Mapping[str, Any]) -> dict[str, float]:
    value = record.get("rule_scores")
    try:
        return read_rule_scores(value) if isinstance(value, dict) else {}
    except ValueError:
        return {}


def _tag(record: Mapping[str, Any]) -> str | None:
    value = record.get("subject_tag")
    try:
        return read_tag(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        return frozenset()
    return frozenset(one for one in value if isinstance(one, str))
