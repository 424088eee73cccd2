"""Handshakes of probes: the interface of all of them, and the handshake with an SMTP server.

A handshake is a generator without I/O: it yields octets to send (perhaps none) and receives the
next octets from the server, empty at the end of the stream. It returns a `Greeting` if the server
speaks the protocol and accepts the client; otherwise it raises `HandshakeError` with one sentence.
It starts no message and leaves no trace in a store. `milters.probe`, `policyd.probe` and
`accounts.probe` contain the handshakes with the daemons.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

MAX_ANSWER = 64 * 1024
"""Maximum octets read of an answer; a correct answer is shorter than 2 KiB."""

PROBE_NAME = "probe.invalid"
"""Name that a probe gives in EHLO. RFC 6761 section 6.4: nobody can own it."""

EHLO = b"EHLO %s\r\n" % PROBE_NAME.encode()

_REPLY_LINE_MAX = 4096
"""Maximum octets of a reply line; RFC 5321 section 4.5.3.1.5 allows 512."""


class HandshakeError(Exception):
    """The server does not speak the protocol, or it refuses to serve."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A successful handshake: a summary of the answer, and the octets to send before closing."""

    said: str
    goodbye: bytes = b""


Handshake: TypeAlias = Generator[bytes, bytes, Greeting]


def smtp() -> Handshake:
    """Wait for the banner and send EHLO (RFC 5321 sections 3.1 and 3.2)."""
    buffer = Buffer()
    banner = yield from _reply(buffer, 220, "banner")
    yield from _reply(buffer, 250, "EHLO", EHLO)
    return Greeting(banner, b"QUIT\r\n")


def _reply(
    buffer: Buffer, expected: int, what: str, send: bytes = b""
) -> Generator[bytes, bytes, str]:
    """Return the text of the last line of a reply (RFC 5321 section 4.2.1)."""
    total = 0
    while total <= MAX_ANSWER:
        octets = yield from buffer.until(b"\n", send, _REPLY_LINE_MAX)
        send = b""
        total += len(octets)
        line = octets.decode("utf-8", "replace").rstrip("\r\n")
        if not (line[:3].isascii() and line[:3].isdecimal()) or line[3:4] not in ("", " ", "-"):
            raise HandshakeError(f"not the answer of an SMTP server: {line[:80]!r}")
        if line[3:4] == "-":
            continue
        if int(line[:3]) != expected:
            raise HandshakeError(f"{what} is answered with {line[:200]}")
        return line[4:]
    raise HandshakeError(f"{what} is answered with more than {MAX_ANSWER} octets")


class Buffer:
    """Octets that were received but not yet consumed."""

    def __init__(self) -> None:
        self._octets = b""

    def take(self, size: int, send: bytes = b"") -> Generator[bytes, bytes, bytes]:
        """Send `send` and return exactly `size` octets."""
        while len(self._octets) < size:
            yield from self._more(send)
            send = b""
        taken, self._octets = self._octets[:size], self._octets[size:]
        return taken

    def until(
        self, end: bytes, send: bytes = b"", limit: int = MAX_ANSWER
    ) -> Generator[bytes, bytes, bytes]:
        """Send `send` and return everything up to and including `end`.

        Raises `HandshakeError` if `end` does not occur within `limit` octets.
        """
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
            raise HandshakeError("it closed the connection instead of answering")
        self._octets += received
