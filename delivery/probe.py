"""Handshake of `gatepost probe` with an LMTP server."""

from __future__ import annotations

from gatepost.handshake import PROBE_NAME, Buffer, Greeting, Handshake, HandshakeError


def lmtp() -> Handshake:
    """Wait for the banner and send LHLO (RFC 2033 section 4.1)."""
    buffer = Buffer()
    banner = yield from buffer.until(b"\n")
    if not banner.startswith(b"220 "):
        raise HandshakeError(f"the banner is {banner[:80]!r}")
    line = yield from buffer.until(b"\n", b"LHLO %b\r\n" % PROBE_NAME.encode())
    if not line.startswith(b"250"):
        raise HandshakeError(f"LHLO is answered with {line[:80]!r}")
    return Greeting(banner[4:].decode("utf-8", "replace").strip(), b"QUIT\r\n")
