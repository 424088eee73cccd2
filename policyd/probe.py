"""Handshake of `gatepost probe` with a policy server."""

from __future__ import annotations

from gatepost.handshake import Buffer, Greeting, Handshake, HandshakeError
from policyd.request import PROBE

_REQUEST = b"".join(b"%s=%s\n" % (name.encode(), value.encode()) for name, value in PROBE.items())


def policy() -> Handshake:
    """Send a request for VRFY (SMTPD_POLICY_README); any action is a valid answer."""
    buffer = Buffer()
    answer = yield from buffer.until(b"\n\n", _REQUEST + b"\n")
    line = answer.decode("utf-8", "replace").strip()
    name, equals, action = line.partition("=")
    if name != "action" or not equals or not action or "\n" in line:
        raise HandshakeError(f"not the answer of a policy server: {line[:80]!r}")
    return Greeting(f"action={action}")
