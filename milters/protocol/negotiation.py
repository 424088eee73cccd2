"""Negotiation between a milter and an MTA at the beginning of a connection.

The MTA offers actions and protocol steps; the milter answers with those that it uses. The bits are
those of Sendmail's include/libmilter/mfapi.h.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from milters.protocol.answers import packet
from milters.protocol.errors import MilterProtocolError
from milters.protocol.events import (
    BodyChunk,
    Connect,
    Data,
    EndOfHeader,
    Event,
    HeaderLine,
    Helo,
    MailFrom,
    Offer,
    RcptTo,
    UnknownCommand,
)

VERSION: Final = 6
OLDEST_VERSION: Final = 2


class MtaAction(enum.IntFlag):
    """Actions that the MTA can apply to a message (SMFIF_*)."""

    ADD_HEADERS = 0x01
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    SET_SYMBOL_LIST = 0x100
    """The MTA accepts a list of the macros to send."""


class Step(enum.IntFlag):
    """Departures from the plain protocol (SMFIP_*)."""

    NO_REPLY_HEADER = 0x80
    NO_UNKNOWN = 0x100
    """UnknownCommand is not sent."""
    NO_DATA = 0x200
    """Data is not sent."""
    NO_REPLY_CONNECT = 0x1000
    NO_REPLY_HELO = 0x2000
    NO_REPLY_MAIL = 0x4000
    NO_REPLY_RCPT = 0x8000
    NO_REPLY_EOH = 0x40000
    NO_REPLY_BODY = 0x80000
    LEADING_SPACE = 0x100000
    """Header values include the space after the colon, in both directions."""


class Stage(enum.IntEnum):
    """When macros are sent (SMFIM_*)."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADER = 6


_NO_REPLY: Final[Mapping[type[Event], int]] = {
    Connect: Step.NO_REPLY_CONNECT,
    Helo: Step.NO_REPLY_HELO,
    MailFrom: Step.NO_REPLY_MAIL,
    RcptTo: Step.NO_REPLY_RCPT,
    HeaderLine: Step.NO_REPLY_HEADER,
    EndOfHeader: Step.NO_REPLY_EOH,
    BodyChunk: Step.NO_REPLY_BODY,
    Data: 0,
    UnknownCommand: 0,
}
"""For each event that is answered before the end of a message, the step that omits the answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """The actions, steps and macros that the milter wants."""

    actions: MtaAction
    steps: Step
    macros: Mapping[Stage, str]
    """The macros to send at each stage, separated by spaces; the MTA sends no others."""
    required: MtaAction
    """Those of `actions` that the milter cannot do without."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The negotiated terms."""

    version: int
    actions: int
    steps: int
    answered: frozenset[type[Event]]
    """The events after which the MTA waits for an answer."""
    leading: bytes
    """The text to put before a header value to restore it as in the message."""
    packet: bytes
    """The answer to the offer."""


@functools.lru_cache(maxsize=64)
def agree(offer: Offer, wishes: Wishes) -> Terms:
    """Accept the wishes that the MTA offers; raises `MilterProtocolError`."""
    if offer.version < OLDEST_VERSION:
        raise MilterProtocolError(f"version {offer.version} of the protocol")
    missing = wishes.required & ~offer.actions
    if missing:
        names = " and ".join(action.name or "" for action in missing)
        raise MilterProtocolError(f"the MTA does not offer {names}, which the milter requires")
    version = min(offer.version, VERSION)
    actions = offer.actions & wishes.actions
    steps = offer.steps & wishes.steps
    data = struct.pack(">III", version, actions, steps)
    if actions & MtaAction.SET_SYMBOL_LIST:
        for stage, names in wishes.macros.items():
            data += struct.pack(">I", stage) + names.encode("ascii") + b"\0"
    return Terms(
        version,
        actions,
        steps,
        frozenset(event for event, bit in _NO_REPLY.items() if not steps & bit),
        b"" if steps & Step.LEADING_SPACE else b" ",
        packet(b"O", data),
    )
