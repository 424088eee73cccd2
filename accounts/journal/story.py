"""Story of a mail: its state, one sentence that says what became of it, advice, and a timeline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from accounts.journal import postfix_story
from accounts.journal.journey import MailJourney
from accounts.journal.mail_state import MailState
from accounts.journal.meanings import advice_of, because
from accounts.journal.row import JournalRow
from accounts.journal.time_text import time_text

_WAIT: Final = re.compile(r"greylist: [a-z ]{1,20} \(wait (\d{1,9}) s\)")
_FROM_POSTFIX: Final = "the log of Postfix"


class StoryEvent(NamedTuple):
    """One decision. `daemon` names who decided; `reply` is the answer to the other side."""

    at: float
    daemon: str
    text: str
    reason: str
    reply: str


class MailStory(NamedTuple):
    """The story of a mail to one recipient. `advice` may be empty."""

    state: MailState
    sentence: str
    advice: str
    sender: str
    recipient: str
    client: str
    queue_id: str
    message_id: str
    size: int
    first: float
    last: float
    events: tuple[StoryEvent, ...]


def tell(journey: MailJourney) -> MailStory:
    """Return the story of a journey."""
    rows = journey.rows
    state, sentence, advice = _outcome(journey)
    return MailStory(
        state,
        sentence,
        advice,
        _last(rows, "sender"),
        journey.recipient,
        _last(rows, "client"),
        _last(rows, "queue_id"),
        _last(rows, "message_id"),
        next((row.size for row in rows if row.size), 0),
        rows[0].at,
        rows[-1].at,
        tuple(_events(rows)),
    )


def _last(rows: Sequence[JournalRow], name: str) -> str:
    for row in reversed(rows):
        if value := getattr(row, name):
            return str(value)
    return ""


def _outcome(journey: MailJourney) -> tuple[MailState, str, str]:
    if (row := postfix_story.deciding(journey.deliveries)) is not None:
        return postfix_story.outcome(row)
    if journey.deliveries:
        ours = [row for row in journey.deliveries if row.daemon == "delivery"]
        return _delivery_outcome(journey, ours[-1])
    if journey.accepted:
        return _milter_outcome(journey, journey.accepted[-1])
    return _attempt_outcome(journey, journey.attempts[-1])


def _delivery_outcome(journey: MailJourney, row: JournalRow) -> tuple[MailState, str, str]:
    verdict, reply = row.details.get("verdict", ""), row.details.get("reply", "")
    when = time_text(row.at)
    if row.action == "deliver":
        if verdict == "quarantined":
            virus = row.details.get("virus", "a virus")
            return (
                MailState.QUARANTINED,
                f"Not delivered: it has the virus {virus}, and is in quarantine.",
                "Look at it in the quarantine, and release it if it is harmless.",
            )
        where = "" if row.base == journey_base(journey) else f" in the mailbox {row.recipient}"
        if verdict == "junk":
            return (
                MailState.JUNK,
                f"Delivered as spam on {when}{where}{_score(row)}. The mailbox has it in Junk, "
                "unless its own filter says otherwise.",
                "Look in Junk. If it is no spam, move it out of Junk, and let the recipient allow "
                "the sender.",
            )
        return (
            MailState.DELIVERED,
            f"Delivered on {when}{where}.",
            "If it is not in the inbox, a filter of the mailbox has moved it, forwarded it or "
            "removed it.",
        )
    if row.action == "reject":
        return (
            MailState.BOUNCED,
            f"Not delivered: the mail store refused it for good{because(row)}. The sender gets a "
            "bounce.",
            advice_of(row) or f"It said: {reply}",
        )
    attempts = sum(
        1 for one in journey.deliveries if (one.daemon, one.action) == ("delivery", "defer")
    )
    return (
        MailState.QUEUED,
        f"It waits in our queue{because(row)}. {_attempts(attempts, when)}",
        " ".join(filter(None, (advice_of(row) or f"The mail store said: {reply}", _queue(row)))),
    )


def journey_base(journey: MailJourney) -> str:
    """Return the searched form of the address that the sender used."""
    rows = journey.accepted or journey.attempts or journey.deliveries
    return rows[-1].base


def _milter_outcome(journey: MailJourney, row: JournalRow) -> tuple[MailState, str, str]:
    when = time_text(row.at)
    if row.action == "reject":
        return MailState.REFUSED, f"Refused on {when}{because(row)}.", advice_of(row)
    if row.action == "defer":
        return (
            MailState.POSTPONED,
            f"Not accepted yet on {when}{because(row)}.",
            advice_of(row) or "The sender's server tries again by itself.",
        )
    held = next((one for one in journey.attempts if one.action == "hold"), None)
    if row.action == "quarantine" or held is not None:
        cause = row if held is None else held
        return (
            MailState.HELD,
            f"Held since {when}{because(cause)}.",
            f"Look at it with `postcat -q {row.queue_id}`, release it with `postsuper -H "
            f"{row.queue_id}`, or delete it with `postsuper -d {row.queue_id}`.",
        )
    return (
        MailState.ACCEPTED,
        f"Accepted on {when} as {row.queue_id or 'a message without a queue id'}. There is no "
        "record of its delivery.",
        _queue(row),
    )


def _queue(row: JournalRow) -> str:
    if not row.queue_id:
        return f"See {_FROM_POSTFIX}."
    return f"`postqueue -p` shows whether it waits; {_FROM_POSTFIX} has {row.queue_id}."


def _attempt_outcome(journey: MailJourney, row: JournalRow) -> tuple[MailState, str, str]:
    when = time_text(row.at)
    if row.action == "reject":
        return MailState.REFUSED, f"Refused on {when}{because(row)}.", advice_of(row)
    if row.action == "defer":
        if row.reason.startswith("greylist-"):
            return MailState.GREYLISTED, *_greylisted(journey)
        return MailState.POSTPONED, f"Not accepted yet on {when}{because(row)}.", advice_of(row)
    if row.action == "discard":
        return MailState.DISCARDED, f"Discarded on {when} by a rule of the policy server.", ""
    if row.action == "redirect":
        return MailState.FORWARDED, f"Sent to another address since {when} by a rule.", ""
    return (
        MailState.UNFINISHED,
        f"Not received: the policy server had no objection on {when}, but no message followed.",
        f"Another rule of Postfix may have refused it, or the client went away: see "
        f"{_FROM_POSTFIX}.",
    )


def _greylisted(journey: MailJourney) -> tuple[str, str]:
    delayed = [row for row in journey.attempts if row.reason.startswith("greylist-")]
    last = delayed[-1]
    sentence = f"Not accepted yet: greylisted. {_attempts(len(delayed), time_text(last.at))}"
    found = _WAIT.search(last.details.get("findings", ""))
    after = f" An attempt after {time_text(last.at + int(found[1]))} is accepted." if found else ""
    client = last.client_name or last.client
    return sentence, (
        f"The sender's server tries again by itself.{after} To let it in without delay: `gatepost "
        f"greylist allow {_quoted(client)}`."
    )


def _quoted(client: str) -> str:
    """Return the client for a command; a name from DNS must not end it."""
    return client if re.fullmatch(r"[A-Za-z0-9.:-]+", client) else "CLIENT"


def _attempts(count: int, when: str) -> str:
    if count == 1:
        return f"There was one attempt, on {when}."
    return f"There were {count} attempts, the last on {when}."


def _score(row: JournalRow) -> str:
    score, threshold = row.details.get("score"), row.details.get("threshold")
    if score and threshold:
        return f", with {score} of {threshold} points"
    cause = {"blocked-sender": ", because the recipient blocks the sender"}
    return cause.get(row.details.get("cause", ""), "")


# The timeline

_NAMES: Final = {
    "policyd": "policy server",
    "milters": "milter",
    "delivery": "delivery",
    "postfix": "Postfix",
}
_METHODS: Final = ("spf", "dkim", "dmarc", "arc")
_ONE_TRANSACTION: Final = 60.0
"""Seconds within which a second answer without objection is about the same mail: Postfix asks after
the recipient, and at submission again after the message."""


def _events(rows: Sequence[JournalRow]) -> Iterator[StoryEvent]:
    delayed: JournalRow | None = None
    passed: tuple[str, float] = ("", 0.0)
    for row in rows:
        text = _texts(row, delayed)
        if row.daemon == "policyd" and row.action == "pass":
            before, passed = passed, (text, row.at)
            if text == before[0] and row.at - before[1] < _ONE_TRANSACTION:
                continue
        if row.daemon == "policyd" and row.reason.startswith("greylist-"):
            delayed = delayed or row
        elif row.daemon == "policyd" and row.action == "pass":
            delayed = None
        yield StoryEvent(
            row.at,
            _NAMES.get(row.daemon, row.daemon),
            text,
            row.reason,
            row.details.get("reply", ""),
        )


def _texts(row: JournalRow, delayed: JournalRow | None) -> str:
    if row.daemon == "policyd":
        return _policy_text(row, delayed)
    if row.daemon == "milters":
        return _milter_text(row)
    if row.daemon == "postfix":
        return postfix_story.event_text(row)
    return _delivery_text(row)


def _policy_text(row: JournalRow, delayed: JournalRow | None) -> str:
    client = row.client_name or row.client or "a local client"
    verb = {
        "defer": "told to try again later",
        "reject": "refused",
        "hold": "to be held",
        "discard": "discarded",
        "redirect": "sent elsewhere",
    }.get(row.action, "no objection")
    text = f"{client} asks: {verb}{because(row)}"
    if delayed is not None and row.action == "pass":
        text += f"; it came back after {_duration(row.at - delayed.at)}"
    if findings := row.details.get("findings"):
        text += f" ({findings})"
    return text


def _milter_text(row: JournalRow) -> str:
    verb = {
        "accept": "accepted",
        "tag": "accepted with a mark",
        "quarantine": "held",
        "defer": "told to try again later",
        "reject": "refused",
    }.get(row.action, row.action)
    text = f"message {verb}{because(row)}"
    results = [
        f"{method.upper()} {said.partition(' ')[0]}"
        for method in _METHODS
        if (said := row.details.get(method))
    ]
    if virus := row.details.get("virus"):
        results.append(f"virus {virus}")
    if signed := row.details.get("signed"):
        results.append(f"signed by {signed}")
    return f"{text}; {', '.join(results)}" if results else text


def _delivery_text(row: JournalRow) -> str:
    verdict = row.details.get("verdict", "")
    if row.action == "deliver":
        text = f"given to the mailbox {row.recipient}"
    elif row.action == "reject":
        text = f"refused for {row.recipient}{because(row)}"
    else:
        text = f"not delivered to {row.recipient} yet{because(row)}"
    if verdict and verdict != "deferred":
        score = row.details.get("score")
        text += f"; {verdict}" + (f", {score} points" if score else "")
    return text


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"
