"""List of the queue as showq(8) of Postfix sends it, without I/O.

Attributes are ``name NUL value NUL``, and an empty name ends a list. There is one list for each
mail: its own attributes, and then a recipient and a reason for each recipient. An empty list ends
all. Since Postfix 3.6, the first list names the protocol. It is what Postfix's own postqueue(1)
reads; attributes with other names are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

MAX_TEXT: Final = 64 << 10
"""Octets of a name or a value: a reason is the reply of another server, which has few lines."""
PROTOCOL: Final = "mail_queue_list_protocol"


class QueueListError(Exception):
    """This is not the list of a queue; the message is a sentence."""


class QueuedMail(NamedTuple):
    """A mail in a queue. `arrived` is in seconds since the epoch."""

    queue: str
    id: str
    arrived: int


class QueuedRecipient(NamedTuple):
    """A recipient of the last mail to whom it was not delivered; `reason` may be empty."""

    address: str
    reason: str


QueueEvent: TypeAlias = QueuedMail | QueuedRecipient


class QueueListReader:
    """Reader of a list, which keeps no more than one text of it."""

    def __init__(self) -> None:
        self._rest = b""
        self._name: str | None = None
        self._mail: dict[str, str] = {}
        self._address: str | None = None
        self._is_in_mail = False
        self._is_in_greeting = False
        self.is_complete = False
        """True once the end of the list has come."""

    def receive_data(self, octets: bytes) -> Iterator[QueueEvent]:
        """Yield what these octets complete; raises `QueueListError`."""
        *texts, self._rest = (self._rest + octets).split(b"\0")
        if len(self._rest) > MAX_TEXT:
            raise QueueListError("The list of the queue has a text that is too long.")
        for text in texts:
            if self.is_complete:
                raise QueueListError("The list of the queue goes on after its end.")
            found = text[:MAX_TEXT].decode("utf-8", "replace")
            if self._name is not None:
                name, self._name = self._name, None
                if (event := self._attribute(name, found)) is not None:
                    yield event
            elif found:
                self._name = found
            else:
                self._end()

    def _attribute(self, name: str, value: str) -> QueueEvent | None:
        if name == "protocol" and not self._is_in_mail:
            if value != PROTOCOL:
                raise QueueListError("Another service than showq answers.")
            self._is_in_greeting = True
            return None
        if name == "queue_name" and not self._is_in_mail:
            self._is_in_mail = True
            self._mail = {}
        if not self._is_in_mail:
            raise QueueListError("The list of the queue has an attribute outside of a mail.")
        if name == "recipient":
            self._address = value
            return None
        if name == "reason":
            address, self._address = self._address, None
            if address is None:
                raise QueueListError("The list of the queue has a reason without a recipient.")
            return QueuedRecipient(address, value)
        self._mail[name[:32]] = value
        if len(self._mail) > 32:
            raise QueueListError("The list of the queue has too many attributes.")
        return self._read_mail() if name == "sender" else None

    def _read_mail(self) -> QueuedMail:
        """Return the mail whose attributes have come: the sender is the last one."""
        time = self._mail.get("time", "")
        if not (time.isascii() and time.isdigit() and len(time) < 16):
            raise QueueListError("The list of the queue has a mail without a time.")
        return QueuedMail(self._mail["queue_name"], self._mail.get("queue_id", ""), int(time))

    def _end(self) -> None:
        """Note the end of a list."""
        if self._is_in_greeting or self._is_in_mail:
            self._is_in_greeting = self._is_in_mail = False
            self._address = None
        else:
            self.is_complete = True
