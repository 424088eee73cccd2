"""Texts of Postfix's log that tell about a mail, parsed strictly.

Senders and other servers choose addresses, names and replies in them. Postfix replaces control
characters, and writes addresses in quoted form (``info_log_address_format = external``, the default
since 3.5), so a blank or ``>`` in an address is within quotes. A text that departs from its form
anywhere is no news. syslog may have cut the end of the reply, and nothing before it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeAlias

# a long queue id, or a short one: 0-9, A-Z and a-z without vowels
_ID: Final = r"(?P<id>[0-9A-Za-z]{6,40}): "
# no two alternatives begin with the same character, so matching takes linear time
_ADDRESS: Final = r'<(?P<{0}>(?:[^\s"<>]|"(?:[^"\\]|\\.){{0,400}}")*)>'
_DELIVERY: Final = re.compile(
    _ID
    + "to="
    + _ADDRESS.format("to")
    + "(?:, orig_to="
    + _ADDRESS.format("original")
    + ")?"
    + r", relay=(?P<relay>[^\s,]{1,600})(?:, conn_use=\d{1,9})?"
    + r", delay=(?P<delay>\d{1,12}(?:\.\d{1,9})?), delays=[\d./]{1,100}"
    + r", dsn=(?P<dsn>[245]\.\d{1,3}\.\d{1,3}), status=(?P<status>[A-Za-z_-]{1,20}) \((?P<reply>.*)"
)
_CLIENT: Final = re.compile(
    _ID + r"client=[^\s\[\],]{1,255}\[(?P<address>[0-9A-Fa-f.:]{2,45}|unknown)\](?::\d{1,5})?"
    r"(?:, sasl_method=[A-Za-z0-9_-]{1,32}, sasl_username=(?P<login>[^\s,]{1,320}))?"
    r"(?P<rest>|, (?:sasl_sender|orig_queue_id|orig_client)=.*)\Z"
)
_MESSAGE_ID: Final = re.compile(_ID + r"message-id=(?P<message_id>\S{1,998})\Z")
_QUEUED: Final = re.compile(
    _ID + "from=" + _ADDRESS.format("sender") + r", size=(?P<size>\d{1,15}), nrcpt=\d{1,9} \(.*"
)
_REMOVED: Final = re.compile(_ID + r"removed\Z")
_EXPIRED: Final = re.compile(
    _ID + "from=" + _ADDRESS.format("sender") + r", status=(?:force-)?expired, returned to sender\Z"
)


class DeliveryLine(NamedTuple):
    """Result of an attempt to deliver a mail to a recipient.

    `original` is the address that the client gave, if another one has taken its place. `relay` is
    the other server. `delay` is the age of the mail in seconds. `status` is ``sent``,
    ``deferred``, ``bounced`` or another word of Postfix, and `reply` its explanation.
    """

    id: str
    recipient: str
    original: str
    relay: str
    delay: float
    dsn: str
    status: str
    reply: str


class MailFacts(NamedTuple):
    """Facts about a mail; those that a line does not have are empty.

    `is_first`: the mail has just come, and one of the same queue id was another one.
    """

    id: str
    sender: str = ""
    login: str = ""
    message_id: str = ""
    size: int = 0
    is_first: bool = False


class RemovedLine(NamedTuple):
    """Postfix has done with a mail."""

    id: str


class ExpiredLine(NamedTuple):
    """Postfix gives up a mail."""

    id: str


MailNews: TypeAlias = DeliveryLine | MailFacts | RemovedLine | ExpiredLine


def parse_text(program: str, text: str) -> MailNews | None:
    """Return what a program of Postfix says about a mail; None if it says nothing of interest."""
    if program == "smtpd":
        if found := _CLIENT.match(text):
            return MailFacts(found["id"], login=found["login"] or "", is_first=True)
        return None
    if ": to=<" in text[:48]:
        return _delivery(text)
    if program == "cleanup":
        found = _MESSAGE_ID.match(text)
        return MailFacts(found["id"], message_id=found["message_id"]) if found else None
    if program == "qmgr":
        if found := _QUEUED.match(text):
            return MailFacts(found["id"], sender=found["sender"], size=int(found["size"]))
        if found := _EXPIRED.match(text):
            return ExpiredLine(found["id"])
        if found := _REMOVED.match(text):
            return RemovedLine(found["id"])
    return None


def _delivery(text: str) -> DeliveryLine | None:
    found = _DELIVERY.match(text)
    if found is None:
        return None
    reply = found["reply"]
    return DeliveryLine(
        found["id"],
        found["to"],
        found["original"] or "",
        found["relay"],
        float(found["delay"]),
        found["dsn"],
        found["status"],
        reply[:-1] if reply.endswith(")") else reply + "…",
    )
