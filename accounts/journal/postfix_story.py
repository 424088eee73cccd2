"""Story of what Postfix did with a mail, by its log: outcome, advice and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from accounts.journal.mail_state import MailState
from accounts.journal.row import JournalRow
from accounts.journal.time_text import time_text

_SAME: Final = 60.0
"""Seconds within which Postfix's line is about the attempt of which delivery has told, and knows
less of it."""
_WORST: Final = {"reject": 0, "defer": 1}
"""Order of importance: of several targets of an alias, the one that did not get it matters."""


def deciding(rows: Sequence[JournalRow]) -> JournalRow | None:
    """Return the row of Postfix that says what became of a mail; None if delivery says it.

    `rows` are in the order of time.
    """
    told = {row.details.get("final") or row.base: row for row in rows if row.daemon == "postfix"}
    if not told:
        return None
    last = min(told.values(), key=lambda row: (_WORST.get(row.action, 2), -row.at))
    ours = [row for row in rows if row.daemon == "delivery"]
    if not ours:
        return last
    if last.action == ours[-1].action and last.at < ours[-1].at + _SAME:
        return None
    # once in the mailbox, it is delivered, also if the answer did not reach Postfix
    if any(row.action == "deliver" for row in ours) and len(told) == 1:
        return None
    return last if last.at >= ours[-1].at else None


def outcome(row: JournalRow) -> tuple[MailState, str, str]:
    """Return the state, a sentence and advice."""
    # a command in the words of another server must not look like our advice
    when, reply = time_text(row.at), row.details.get("reply", "").replace("`", "'")
    said = f"{_host(row) or 'Postfix'} said: {reply}" if reply else ""
    if row.action == "deliver":
        return _delivered(row, when, said)
    if row.action == "discard":
        return MailState.DISCARDED, f"Discarded on {when} by a rule of Postfix.", ""
    if row.action == "reject":
        if row.details.get("expired"):
            text = f"Not delivered: Postfix has given up on {when}, after several attempts."
        else:
            text = f"Not delivered: {_host(row) or 'Postfix'} refused it for good on {when}."
        return MailState.BOUNCED, f"{text} The sender gets a bounce.", said
    text = f"It waits in our queue. An attempt on {when} failed."
    if following := _next(row):
        text += f" The next one is about {following}."
    return (
        MailState.QUEUED,
        text,
        f"{said} `postqueue -i {row.queue_id}` tries at once.".strip(),
    )


def event_text(row: JournalRow) -> str:
    """Return the event of a row; the reply of the other side is shown beside it."""
    host = _host(row)
    if row.action == "deliver":
        return _DELIVERED.get(row.details.get("way", ""), "delivered") + (
            f" {host}" if host and row.details.get("way") == "smtp" else ""
        )
    if row.action == "discard":
        return "discarded"
    if row.action == "reject":
        return "given up, and bounced" if row.details.get("expired") else _with("bounced", host)
    following = _next(row)
    return _with("deferred", host) + (f"; next attempt about {following}" if following else "")


_DELIVERED: Final = {
    "smtp": "delivered to",
    "inside": "passed on within this system",
    "lmtp": "delivered by LMTP",
    "local": "delivered on this host",
}


def _delivered(row: JournalRow, when: str, said: str) -> tuple[MailState, str, str]:
    way = row.details.get("way", "")
    if way == "smtp":
        return (
            MailState.SENT,
            f"Handed to {_host(row)} on {when}.",
            f"{said}. That server knows what happened to it then.".replace("..", "."),
        )
    if way == "inside":
        following = row.details.get("queued_as", "")
        return (
            MailState.ACCEPTED,
            f"Passed on within this system on {when}"
            + (f", under the queue id {following}." if following else "."),
            f"Search for {following} to see what became of it." if following else "",
        )
    return (
        MailState.DELIVERED,
        f"Delivered on {when}.",
        "If it is not in the inbox, a filter of the mailbox has moved it, forwarded it or "
        "removed it.",
    )


def _with(text: str, host: str) -> str:
    return f"{text} by {host}" if host else text


def _host(row: JournalRow) -> str:
    """Return the name of the other server; empty if there was none."""
    if row.details.get("way") not in ("smtp", "inside"):
        return ""
    return row.details.get("relay", "").partition("[")[0]


def _next(row: JournalRow) -> str:
    """Return the time of the next attempt; empty if it is not known."""
    found = row.details.get("next", "")
    if not (found.isascii() and found.isdigit() and len(found) < 12):
        return ""
    return time_text(int(found))
