"""Reason ids of the replies of the proxy: the meaning and the code of each.

A reason id stands in brackets at the end of a reply, in the log line of the recipient (`reason`)
and in `docs/reference/replies.md`. All are temporary, apart from a message that is too large: the
sender of mail that we have accepted would get a bounce.
"""

from __future__ import annotations

from typing import Final

from delivery.protocols.store_reply import StoreReply
from gatepost.reply import Meaning

SCANNER_AWAY: Final = "scanner-away"
SCANNER_WAITS: Final = "scanner-waits"
VIRUS_SCANNER_AWAY: Final = "virus-scanner-away"
STORE_AWAY: Final = "store-away"
STORE_UNKNOWN: Final = "store-unknown"
ACCOUNTS_AWAY: Final = "accounts-away"
QUARANTINE_FAILED: Final = "quarantine-failed"
NO_SPACE: Final = "no-space"
TOO_LARGE: Final = "too-large"
OUT_OF_TIME: Final = "out-of-time"
INTERNAL: Final = "internal-error"

REASONS: Final[dict[str, Meaning]] = {
    SCANNER_AWAY: Meaning(
        "The spam scanner did not answer, or not in time, or with an error. After "
        "`delivery.spam.unchecked_after` such mail is delivered with a mark.",
        ("451 4.3.0",),
    ),
    SCANNER_WAITS: Meaning(
        "The spam scanner wants to see the message again later.", ("451 4.7.1",)
    ),
    VIRUS_SCANNER_AWAY: Meaning(
        "clamd did not answer, or not in time, or with an error. After "
        "`delivery.virus.unchecked_after` such mail is delivered with a mark.",
        ("451 4.3.0",),
    ),
    STORE_AWAY: Meaning(
        "The mail store could not be reached, did not answer in time, or broke the connection.",
        ("451 4.4.1",),
    ),
    STORE_UNKNOWN: Meaning(
        "accounts names a mail store that `delivery.stores.named` does not have.", ("451 4.3.5",)
    ),
    ACCOUNTS_AWAY: Meaning(
        "accounts has not sent its data since this host was set up.", ("451 4.3.0",)
    ),
    QUARANTINE_FAILED: Meaning(
        "The message has a virus, and the quarantine did not take it.", ("451 4.3.0",)
    ),
    NO_SPACE: Meaning(
        "The message could not be kept until it is delivered: `delivery.spool_folder` is full or "
        "cannot be written.",
        ("452 4.3.1",),
    ),
    TOO_LARGE: Meaning("The message is larger than `delivery.max_size`.", ("552 5.3.4",)),
    OUT_OF_TIME: Meaning(
        "Scanning and delivery took longer than `delivery.budget`.", ("451 4.4.2",)
    ),
    INTERNAL: Meaning("An error of Gatepost itself; the log has the details.", ("451 4.3.0",)),
}
"""Every reason id."""

_TEXTS: Final = {
    SCANNER_AWAY: "The spam scanner does not answer, please try again later",
    SCANNER_WAITS: "The message cannot be judged yet, please try again later",
    VIRUS_SCANNER_AWAY: "The virus scanner does not answer, please try again later",
    STORE_AWAY: "The mail store does not answer, please try again later",
    STORE_UNKNOWN: "The mail store of this mailbox is not known here",
    ACCOUNTS_AWAY: "The mailboxes are not known yet, please try again later",
    QUARANTINE_FAILED: "The message cannot be delivered now, please try again later",
    NO_SPACE: "No space for the message, please try again later",
    TOO_LARGE: "The message is too large",
    OUT_OF_TIME: "Delivery took too long, please try again later",
    INTERNAL: "Internal error, please try again later",
}


def refusal(reason: str) -> StoreReply:
    """Return the reply for a reason id."""
    code, _, enhanced = REASONS[reason].codes[0].partition(" ")
    return StoreReply(int(code), enhanced, f"{_TEXTS[reason]} [{reason}]")
