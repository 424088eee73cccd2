"""The first words with a milter, a policy server or an SMTP server, as a probe says them.

Each is a generator without I/O: it yields octets to send (perhaps none) and is sent what the other
side said next, empty at the end of the stream. It returns a `Greeting` when the other side speaks
the protocol and is willing, and raises `HandshakeError` with one sentence when not. None of them
begins a message or leaves a trace in a store.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

MAX_ANSWER = 64 * 1024
"""Octets of an answer that are read: what answers the right way needs less than 2 KiB."""

MILTER_VERSION = 6
MILTER_ACTIONS = 0x1FF
"""Everything that Postfix lets a milter do (milter8.c: SMFIF_* up to SETSYMLIST)."""
MILTER_STEPS = 0x1FFFFF
"""Every event that can be left out, and every answer that can be."""

PROBE_NAME = "probe.invalid"
"""What a probe calls itself. RFC 6761 section 6.4: a name that can be nobody's."""

POLICY_PROBE = {
    "request": "smtpd_access_policy",
    "protocol_state": "VRFY",
    "protocol_name": "ESMTP",
    "client_address": "127.0.0.1",
    "client_name": "localhost",
    "helo_name": PROBE_NAME,
}
"""VRFY has no sender: a probe teaches greylisting nothing."""
POLICY_REQUEST = b"".join(b"%s=%s\n" % (n.encode(), v.encode()) for n, v in POLICY_PROBE.items())

EHLO = b"EHLO %s\r\n" % PROBE_NAME.encode()

_REPLY_LINE_MAX = 4096
"""Octets of a reply line: RFC 5321 section 4.5.3.1.5 allows 512."""


class HandshakeError(Exception):
    """The other side does not speak the protocol, or is not willing to serve."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The other side is there: what it said, in short, and what to send before hanging up."""

    said: str
    goodbye: bytes = b""


Handshake: TypeAlias = Generator[bytes, bytes, Greeting]


def milter() -> Handshake:
    """Negotiate as Postfix does, protocol version 6, offering everything."""
    offer = struct.pack(">IcIII", 13, b"O", MILTER_VERSION, MILTER_ACTIONS, MILTER_STEPS)
    buffer = _Buffer()
    head = yield from buffer.take(4, offer)
    size = struct.unpack(">I", head)[0]
    if not 13 <= size <= MAX_ANSWER:
        raise HandshakeError(f"the answer is no milter's: a packet of {size} octets")
    packet = yield from buffer.take(size)
    command = packet[:1]
    version, actions, steps = struct.unpack(">III", packet[1:13])
    if command != b"O":
        raise HandshakeError(f"the answer to the negotiation is {command!r}")
    if not 2 <= version <= MILTER_VERSION:
        raise HandshakeError(f"it wants version {version} of the protocol")
    if actions & ~MILTER_ACTIONS or steps & ~MILTER_STEPS:
        raise HandshakeError("it asks for what was not offered")
    return Greeting(f"milter protocol {version}", struct.pack(">Ic", 1, b"Q"))


def policy() -> Handshake:
    """Ask about a VRFY (SMTPD_POLICY_README); any action is an answer."""
    buffer = _Buffer()
    answer = yield from buffer.until(b"\n\n", POLICY_REQUEST + b"\n")
    line = answer.decode("utf-8", "replace").strip()
    name, equals, action = line.partition("=")
    if name != "action" or not equals or not action or "\n" in line:
        raise HandshakeError(f"the answer is no policy server's: {line[:80]!r}")
    return Greeting(f"action={action}")


def smtp() -> Handshake:
    """Wait for the banner, say EHLO (RFC 5321 sections 3.1 and 3.2)."""
    buffer = _Buffer()
    banner = yield from _reply(buffer, 220, "banner")
    yield from _reply(buffer, 250, "EHLO", EHLO)
    return Greeting(banner, b"QUIT\r\n")


def _reply(
    buffer: _Buffer, expected: int, what: str, send: bytes = b""
) -> Generator[bytes, bytes, str]:
    """The text of the last line of a reply (RFC 5321 section 4.2.1)."""
    while True:
        octets = yield from buffer.until(b"\n", send, _REPLY_LINE_MAX)
        send = b""
        line = octets.decode("utf-8", "replace").rstrip("\r\n")
        if not (line[:3].isascii() and line[:3].isdecimal()) or line[3:4] not in ("", " ", "-"):
            raise HandshakeError(f"the answer is no SMTP server's: {line[:80]!r}")
        if line[3:4] == "-":
            continue
        if int(line[:3]) != expected:
            raise HandshakeError(f"{what} is answered with {line[:200]}")
        return line[4:]


class _Buffer:
    """What was received and not used yet."""

    def __init__(self) -> None:
        self._octets = b""

    def take(self, size: int, send: bytes = b"") -> Generator[bytes, bytes, bytes]:
        """Exactly so many octets."""
        while len(self._octets) < size:
            yield from self._more(send)
            send = b""
        taken, self._octets = self._octets[:size], self._octets[size:]
        return taken

    def until(
        self, end: bytes, send: bytes = b"", limit: int = MAX_ANSWER
    ) -> Generator[bytes, bytes, bytes]:
        """Everything up to and with `end`."""
        while send or end not in self._octets:
            if len(self._octets) > limit:
                raise HandshakeError(f"more than {limit} octets without an end")
            yield from self._more(send)
            send = b""
        taken, _, self._octets = self._octets.partition(end)
        return taken + end

    def _more(self, send: bytes) -> Generator[bytes, bytes, None]:
        received = yield send
        if not received:
            raise HandshakeError("it hung up instead of answering")
        self._octets += received
