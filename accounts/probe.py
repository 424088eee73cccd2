"""The handshakes of `gatepost probe` with accounts. They leave no trace in the database."""

from __future__ import annotations

from gatepost.handshake import PROBE_NAME, Buffer, Greeting, Handshake, HandshakeError

_REQUEST = f"domains {PROBE_NAME}"
_SOCKETMAP = f"{len(_REQUEST)}:{_REQUEST},".encode()
_MAX_DIGITS = 6


def socketmap() -> Handshake:
    """Look up a domain that nobody has (socketmap_table(5)): it has to be unknown.

    A temporary error is no good answer: the database is away, and nothing about it is known.
    """
    buffer = Buffer()
    size = yield from buffer.until(b":", _SOCKETMAP, _MAX_DIGITS)
    digits = size[:-1]
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise HandshakeError(f"not the answer of a socketmap: {size[:80]!r}")
    text = (yield from buffer.take(int(digits) + 1)).decode("utf-8", "replace")
    status = text.partition(" ")[0]
    if text[-1] != "," or status not in ("OK", "NOTFOUND", "TEMP", "TIMEOUT", "PERM"):
        raise HandshakeError(f"not the answer of a socketmap: {text[:80]!r}")
    if status not in ("OK", "NOTFOUND"):
        raise HandshakeError(f"it cannot answer: {text[:-1][:200]}")
    return Greeting(f"{PROBE_NAME}: {status}")


def sasl() -> Handshake:
    """Wait for the greeting of Dovecot's authentication protocol; no login is tried."""
    buffer = Buffer()
    offered = []
    first = True
    while True:
        line = (yield from buffer.until(b"\n")).decode("utf-8", "replace").rstrip("\r\n")
        word, _, rest = line.partition("\t")
        if first and word != "VERSION":
            raise HandshakeError(f"not the greeting of an authentication server: {line[:80]!r}")
        first = False
        if word == "MECH":
            offered.append(rest.partition("\t")[0])
        if word == "DONE":
            break
        if len(offered) > 100:
            raise HandshakeError("a greeting without an end")
    if not offered:
        raise HandshakeError("it offers no way to log in")
    return Greeting("offers " + " ".join(offered))
