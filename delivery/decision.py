"""Decision about a message for one recipient: from preferences and findings to a mark or a delay.

| first that applies | verdict |
|---|---|
| the recipient wants no check | skipped |
| the recipient blocks the sender | junk |
| the domain of the recipient blocks the sender, whom the recipient does not allow as below | junk |
| the scanner gave no result | deferred, or unchecked after an outage |
| the scanner skipped the message by its own rules | skipped |
| the recipient or its domain allows the author, and DMARC vouches for it | ham |
| a rule of the scanner says spam whatever the score | junk |
| the score reaches the threshold of the recipient, the site or the scanner | junk |
| otherwise | ham |

No message is refused for its score: the sender would be told by a bounce, and senders of spam are
forged.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from delivery.preferences import MailboxPreferences, lists
from delivery.scan import ScanResult
from msgauth.mail_address import NO_ADDRESS, MailAddress


class SpamVerdict(enum.StrEnum):
    """Verdict for one recipient; the words are those of the log and of the metrics."""

    HAM = "ham"
    JUNK = "junk"
    UNCHECKED = "unchecked"
    """Delivered with a mark, because no scanner could look at it."""
    SKIPPED = "skipped"
    """Delivered with a mark, because it is not to be scanned."""
    DEFERRED = "deferred"
    """Not delivered now: the client keeps the message."""


class SenderFacts(NamedTuple):
    """Facts about the sender of a message that do not depend on a recipient."""

    envelope: MailAddress = NO_ADDRESS
    author: MailAddress = NO_ADDRESS
    """The single author in From; no address if there is not exactly one."""
    is_vouched: bool = False
    """True if DMARC passed for the domain of the author."""


class SpamDecision(NamedTuple):
    """A verdict with its cause: a word for log and mark, empty where the score decided."""

    verdict: SpamVerdict
    cause: str = ""
    threshold: float | None = None
    result: ScanResult | None = None


def decide_unscanned(preferences: MailboxPreferences, sender: SenderFacts) -> SpamDecision | None:
    """Return the decision that needs no scan; None if one is needed."""
    if not preferences.spam_check:
        return SpamDecision(SpamVerdict.SKIPPED, "preference")
    if lists(preferences.block, sender.author) or lists(preferences.block, sender.envelope):
        return SpamDecision(SpamVerdict.JUNK, "blocked-sender")
    block = preferences.domain_block
    if (lists(block, sender.author) or lists(block, sender.envelope)) and not (
        sender.is_vouched and lists(preferences.allow, sender.author)
    ):
        return SpamDecision(SpamVerdict.JUNK, "blocked-sender")
    return None


def decide_failed(cause: str, *, is_outage: bool) -> SpamDecision:
    """Return the decision without a result; `is_outage`: it has been missing for too long."""
    verdict = SpamVerdict.UNCHECKED if is_outage else SpamVerdict.DEFERRED
    return SpamDecision(verdict, cause)


def decide_scanned(
    preferences: MailboxPreferences,
    sender: SenderFacts,
    result: ScanResult,
    site_threshold: float | None,
) -> SpamDecision:
    """Return the decision by a result that needs no further wait."""
    if result.is_skipped:
        return SpamDecision(SpamVerdict.SKIPPED, "scanner", None, result)
    threshold = preferences.junk_score if preferences.junk_score is not None else site_threshold
    shown = result.required if threshold is None else threshold
    if sender.is_vouched and preferences.allows(sender.author):
        return SpamDecision(SpamVerdict.HAM, "allowed-sender", shown, result)
    is_spam = result.is_spam if threshold is None or result.is_forced else result.score >= threshold
    return SpamDecision(SpamVerdict.JUNK if is_spam else SpamVerdict.HAM, "", shown, result)
