"""Tally of decisions: how many recipients had which outcome in a period."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, case, func, literal_column, select

from accounts.journal.table import JOURNAL, JournalView


class MailOutcome(StrEnum):
    """Outcome of a decision about one recipient. A mail may have several, one after the other."""

    ACCEPTED = "accepted"
    """It went into the queue of Postfix."""
    DELIVERED = "delivered"
    SENT = "sent"
    """Another server has taken it."""
    JUNK = "junk"
    """It was delivered as spam."""
    QUARANTINED = "quarantined"
    """It has a virus, or waits in the hold queue."""
    GREYLISTED = "greylisted"
    RETURNED = "returned"
    """It came back after the delay of the greylist, and was let through."""
    POSTPONED = "postponed"
    """It was told to come later for another reason, or waits for the mail store."""
    REFUSED = "refused"
    REMOVED = "removed"
    """A rule of the policy server has discarded it, or sent it elsewhere."""


_ROW: Final = JOURNAL.c
# the form of `json.dumps`: a quote within a value has a backslash in front
_KIND: Final = case(
    ((_ROW.daemon == "delivery") & _ROW.details.like('%"verdict": "junk"%'), "junk"),
    ((_ROW.daemon == "delivery") & _ROW.details.like('%"verdict": "quarantined"%'), "virus"),
    ((_ROW.daemon == "policyd") & _ROW.reason.like("greylist-%"), "delayed"),
    (
        (_ROW.daemon == "policyd")
        & (_ROW.action == "pass")
        & _ROW.details.like("%greylist: passed%"),
        "returned",
    ),
    ((_ROW.daemon == "postfix") & _ROW.details.like('%"way": "smtp"%'), "smtp"),
    else_="",
)


def tally(
    connection: Connection, view: JournalView, since: float, until: float
) -> dict[MailOutcome, int]:
    """Return the numbers of recipients that the view shows, in [since, until)."""
    statement = (
        select(_ROW.daemon, _ROW.action, _KIND.label("kind"), func.count())
        .where(_ROW.at >= since, _ROW.at < until)
        # PostgreSQL takes two expressions with parameters for different ones
        .group_by(_ROW.daemon, _ROW.action, literal_column("kind"))
    )
    if (seen := view.condition()) is not None:
        statement = statement.where(seen)
    counts = dict.fromkeys(MailOutcome, 0)
    for daemon, action, found, count in connection.execute(statement):
        outcome = _outcome(daemon, action, found)
        if outcome is not None:
            counts[outcome] += int(count)
    return counts


_ACTIONS: Final = {
    "defer": MailOutcome.POSTPONED,
    "reject": MailOutcome.REFUSED,
    "discard": MailOutcome.REMOVED,
    "redirect": MailOutcome.REMOVED,
    "hold": MailOutcome.QUARANTINED,
    "quarantine": MailOutcome.QUARANTINED,
    "deliver": MailOutcome.DELIVERED,
    "accept": MailOutcome.ACCEPTED,
    "tag": MailOutcome.ACCEPTED,
}


def _outcome(daemon: str, action: str, kind: str) -> MailOutcome | None:
    """Return the outcome of a row; None if the decision is not the end of it."""
    if daemon == "postfix":
        # delivery tells of mailboxes
        return MailOutcome.SENT if (action, kind) == ("deliver", "smtp") else None
    if action == "deliver" and kind == "junk":
        return MailOutcome.JUNK
    if action == "deliver" and kind == "virus":
        return MailOutcome.QUARANTINED
    if action == "defer" and kind == "delayed":
        return MailOutcome.GREYLISTED
    if kind == "returned":
        return MailOutcome.RETURNED
    if daemon == "policyd" and action in ("accept", "tag"):
        return None
    return _ACTIONS.get(action)
