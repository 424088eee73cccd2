"""Events that an MTA sends to a milter. Macros are named without braces, and belong to their
event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Macros: TypeAlias = Mapping[bytes, bytes]


class Offer(NamedTuple):
    """The MTA offers a version, the actions it supports, and the steps it can omit."""

    version: int
    actions: int
    steps: int


class Connect(NamedTuple):
    """An SMTP client has connected; `address` is None for one without an IP address.

    `port` is 0 if there is none: for mail submitted without SMTP, for example by sendmail(1),
    Postfix invents a client with the name and an address of this machine.
    """

    hostname: str
    address: str | None
    port: int = 0


class Helo(NamedTuple):
    """HELO or EHLO."""

    name: str


class MailFrom(NamedTuple):
    """MAIL FROM, which begins a message; the path includes its angle brackets."""

    path: bytes
    parameters: tuple[bytes, ...]
    macros: Macros


class RcptTo(NamedTuple):
    """RCPT TO."""

    path: bytes


class Data(NamedTuple):
    """DATA."""


class HeaderLine(NamedTuple):
    """One header field, with its folds; `value` is as the MTA sends it (see `Terms.leading`)."""

    name: bytes
    value: bytes


class EndOfHeader(NamedTuple):
    """The header is complete."""


class BodyChunk(NamedTuple):
    """The next part of the body, cut anywhere.

    `with_end`: it arrived in one packet with the end of the message, and the MTA waits for one
    answer to both.
    """

    octets: bytes
    with_end: bool = False


class EndOfMessage(NamedTuple):
    """The message is complete, and the MTA waits for the decision."""

    macros: Macros


class Abort(NamedTuple):
    """The current message, if there is one, is aborted."""


class NextClient(NamedTuple):
    """The SMTP client has disconnected, and the MTA will use the connection for another one."""


class UnknownCommand(NamedTuple):
    """The SMTP client sent a command that the MTA does not know."""


class Quit(NamedTuple):
    """The MTA ends the connection."""


Event: TypeAlias = (
    Offer
    | Connect
    | Helo
    | MailFrom
    | RcptTo
    | Data
    | HeaderLine
    | EndOfHeader
    | BodyChunk
    | EndOfMessage
    | Abort
    | NextClient
    | UnknownCommand
    | Quit
)
