"""Recorder: makes a record for the journal of accounts from what the log says about deliveries."""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from gatepost.journal.record import JournalRecord, clean
from gatepost.postfix_watch.delivery_line import (
    DeliveryLine,
    ExpiredLine,
    MailFacts,
    RemovedLine,
    parse_text,
)
from gatepost.postfix_watch.log_line import LogLine

MAX_MAILS: Final = 10_000
"""Mails whose facts are known: those in progress, at about a kilobyte each."""
MAX_WAITING: Final = 100
"""Recipients of a mail whose delays are known."""
MAX_DELAYS: Final = 20_000
"""The same for all mails; the oldest mails are forgotten first."""
AGAIN: Final = 3600.0
"""Seconds after which an equal delay of the same recipient is told again."""
CHANGED: Final = 600.0
"""The same for a delay with another reply, which may have a number that is never the same."""
MIN_BACKOFF: Final = 300.0
MAX_BACKOFF: Final = 4000.0
"""Seconds, Postfix's defaults: the next attempt comes after a pause of the age of the mail, between
these bounds."""

_ACTIONS: Final = {
    "sent": "deliver",
    "deferred": "defer",
    "SOFTBOUNCE": "defer",
    "bounced": "reject",
}
_QUEUED_AS: Final = re.compile(r"queued as ([0-9A-Za-z]{6,40})\b")


@dataclass(slots=True)
class _Known:
    facts: MailFacts
    delays: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Reply and time of the last delay that was told, by recipient."""


class DeliveryRecorder:
    """Maker of records. It knows sender and login of a mail from earlier lines of the log."""

    def __init__(self) -> None:
        self._mails: OrderedDict[str, _Known] = OrderedDict()
        self._delays = 0

    def record(self, line: LogLine) -> JournalRecord | None:
        """Return the record of a line; None for one that tells nothing new."""
        news = parse_text(line.program, line.text)
        if isinstance(news, MailFacts):
            self._learn(news)
        elif isinstance(news, DeliveryLine):
            return self._delivery(line, news)
        elif isinstance(news, ExpiredLine):
            return self._expired(line, news)
        elif isinstance(news, RemovedLine):
            self._drop(news.id)
        return None

    def _learn(self, news: MailFacts) -> None:
        if news.is_first:  # a short queue id is used again, and the login is another one's
            self._drop(news.id)
        known = self._mail(news.id)
        was = known.facts
        known.facts = MailFacts(
            news.id,
            clean(news.sender, 320) or was.sender,
            clean(news.login, 320) or was.login,
            clean(news.message_id, 250) or was.message_id,
            news.size or was.size,
        )

    def _drop(self, queue_id: str) -> None:
        if (old := self._mails.pop(queue_id, None)) is not None:
            self._delays -= len(old.delays)

    def _mail(self, queue_id: str) -> _Known:
        known = self._mails.get(queue_id)
        if known is None:
            known = self._mails[queue_id] = _Known(MailFacts(queue_id))
            self._forget()
        else:
            self._mails.move_to_end(queue_id)
        return known

    def _forget(self) -> None:
        """Forget the oldest mails if there are too many; the one in hand is the newest."""
        while len(self._mails) > MAX_MAILS or self._delays > MAX_DELAYS:
            _, old = self._mails.popitem(last=False)
            self._delays -= len(old.delays)

    def _delivery(self, line: LogLine, news: DeliveryLine) -> JournalRecord | None:
        action = _ACTIONS.get(news.status)
        if action is None:  # a probe of verify(8), or an attempt of sendmail -bv
            return None
        known = self._mail(news.id)
        recipient = _recipient(news)
        before = len(known.delays)
        if action == "defer" and not _is_news(known, news, line.at):
            return None
        if action != "defer":
            known.delays.pop(recipient, None)
        self._delays += len(known.delays) - before
        self._forget()
        if line.program == "discard":
            action = "discard"
        way = _way(line.program, news.relay)
        details = {
            "reply": _reply(news),
            "way": way,
            "relay": clean(news.relay, 200),
            "dsn": news.dsn,
            "final": news.recipient if news.original else "",
        }
        if action == "defer":
            pause = min(max(news.delay, MIN_BACKOFF), MAX_BACKOFF)
            details["next"] = str(int(line.at + pause))
        if way == "inside" and (found := _QUEUED_AS.search(news.reply)):
            details["queued_as"] = found[1]
        return _record(line.at, action, known.facts, (recipient,), details)

    def _expired(self, line: LogLine, news: ExpiredLine) -> JournalRecord | None:
        known = self._mail(news.id)
        if not known.delays:
            return None  # nobody knows to whom it did not go
        recipients = tuple(known.delays)
        replies = {reply for reply, _ in known.delays.values()}
        self._delays -= len(known.delays)
        known.delays.clear()
        details = {"expired": "yes", "reply": replies.pop() if len(replies) == 1 else ""}
        return _record(line.at, "reject", known.facts, recipients, details)


def _recipient(news: DeliveryLine) -> str:
    """Return the address that the sender used."""
    return clean(news.original or news.recipient, 320)


def _reply(news: DeliveryLine) -> str:
    """Return the reply without the target of an alias, which the sender may not know."""
    reply = news.reply
    if news.original and "@" in news.recipient:
        target = re.escape(news.recipient)
        reply = re.sub(target, lambda _: news.original, reply, flags=re.IGNORECASE)
    return clean(reply, 400)


def _is_news(known: _Known, news: DeliveryLine, at: float) -> bool:
    """Return whether a delay is to be told, and remember it."""
    recipient, reply = _recipient(news), _reply(news)
    told = known.delays.get(recipient)
    if told is not None:
        pause = AGAIN if told[0] == reply else CHANGED
        if 0 <= at - told[1] < pause:
            return False
    elif len(known.delays) >= MAX_WAITING:
        return False
    known.delays[recipient] = reply, at
    return True


def _record(
    at: float,
    action: str,
    facts: MailFacts,
    recipients: tuple[str, ...],
    details: dict[str, str],
) -> JournalRecord:
    return JournalRecord(
        at=at,
        daemon="postfix",
        action=action,
        queue_id=facts.id,
        message_id=facts.message_id,
        sender=facts.sender,
        login=facts.login,
        size=facts.size,
        recipients=recipients,
        details={name: text for name, text in details.items() if text},
    )


def _way(program: str, relay: str) -> str:
    """Return how a mail goes; empty if there was no relay.

    ``smtp``: to another server. ``inside``: to this host again. ``lmtp``, ``local``: to a mailbox.
    """
    if program == "smtp":
        _, _, rest = relay.partition("[")
        if not rest:
            return ""
        try:
            return "inside" if ipaddress.ip_address(rest.partition("]")[0]).is_loopback else "smtp"
        except ValueError:
            return "smtp"
    if program == "lmtp":
        return "lmtp"
    return "local" if program in ("local", "virtual", "pipe") else ""
