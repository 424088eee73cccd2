"""Handshake of `gatepost probe` with clamd."""

from __future__ import annotations

from gatepost.handshake import Buffer, Greeting, Handshake, HandshakeError

_PING = b"zPING\0"
_MAX_ANSWER = 100


def clamd() -> Handshake:
    """Send PING (clamd(8))."""
    answer = yield from Buffer().until(b"\0", _PING, _MAX_ANSWER)
    if answer != b"PONG\0":
        raise HandshakeError(f"the answer to PING is {answer[:40]!r}")
    return Greeting("PONG")
