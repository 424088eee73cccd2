"""Handshakes: the first words with a server, as a probe says them; here those with an SMTP server.

A handshake is a generator without I/O: it yields octets to send (perhaps none) and is sent the next
octets from the other side, empty at the end of the stream. It returns a `Greeting` when the other
side speaks the protocol and is willing, and raises `HandshakeError` with one sentence when not. It
begins no message and leaves no trace in a store. `milters.probe`, `policyd.probe` and
`accounts.probe` have those with the daemons.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias

MAX_ANSWER = 64 * 1024
"""Octets of an answer that are read: what answers the right way needs less than 2 KiB."""

PROBE_NAME = "probe.invalid"
"""What a probe calls itself. RFC 6761 section 6.4: a name that can be nobody's."""

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


def smtp() -> Handshake:
    """Wait for the banner, say EHLO (RFC 5321 sections 3.1 and 3.2)."""
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
    """Octets that were received and are not used yet."""

    def __init__(self) -> None:
        self._octets = b""

    def take(self, size: int, send: bytes = b"") -> Generator[bytes, bytes, bytes]:
        """Return exactly `size` octets; sends `send` first."""
        while len(self._octets) < size:
            yield from self._more(send)
            send = b""
        taken, self._octets = self._octets[:size], self._octets[size:]
        return taken

    def until(
        self, end: bytes, send: bytes = b"", limit: int = MAX_ANSWER
    ) -> Generator[bytes, bytes, bytes]:
        """Return everything up to and including `end`; sends `send` first.

        Raises `HandshakeError` when there is no end within `limit` octets.
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
