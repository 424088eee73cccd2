"""State of a mail to one recipient, as the trace tells it."""

from __future__ import annotations

from enum import StrEnum


class MailState(StrEnum):
    """State of a mail to one recipient."""

    DELIVERED = "delivered"
    JUNK = "junk"
    SENT = "sent"
    QUARANTINED = "quarantined"
    QUEUED = "queued"
    BOUNCED = "bounced"
    HELD = "held"
    ACCEPTED = "accepted"
    GREYLISTED = "greylisted"
    POSTPONED = "postponed"
    REFUSED = "refused"
    DISCARDED = "discarded"
    FORWARDED = "forwarded"
    UNFINISHED = "unfinished"
