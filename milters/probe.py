"""Handshake of `gatepost probe` with a milter."""

from __future__ import annotations

import struct

from gatepost.handshake import MAX_ANSWER, Buffer, Greeting, Handshake, HandshakeError
from milters.protocol.answers import packet
from milters.protocol.negotiation import OLDEST_VERSION, VERSION, MtaAction, Step

OFFERED_ACTIONS = 2 * MtaAction.SET_SYMBOL_LIST - 1
"""All actions of version 6, which Postfix offers (milter8.c)."""
OFFERED_STEPS = 2 * Step.LEADING_SPACE - 1
"""All protocol steps of version 6."""

_TERMS = struct.Struct(">III")  # version, actions, steps


def milter() -> Handshake:
    """Negotiate as Postfix does, and offer everything."""
    buffer = Buffer()
    offer = packet(b"O", _TERMS.pack(VERSION, OFFERED_ACTIONS, OFFERED_STEPS))
    head = yield from buffer.take(4, offer)
    size = int.from_bytes(head, "big")
    if not 1 + _TERMS.size <= size <= MAX_ANSWER:
        raise HandshakeError(f"not the answer of a milter: a packet of {size} octets")
    answer = yield from buffer.take(size)
    command = answer[:1]
    version, actions, steps = _TERMS.unpack_from(answer, 1)
    if command != b"O":
        raise HandshakeError(f"the answer to the negotiation is {command!r}")
    if not OLDEST_VERSION <= version <= VERSION:
        raise HandshakeError(f"it wants version {version} of the protocol")
    if actions & ~OFFERED_ACTIONS or steps & ~OFFERED_STEPS:
        raise HandshakeError("it asks for actions or steps that were not offered")
    return Greeting(f"milter protocol {version}", packet(b"Q"))
