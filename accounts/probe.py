"""Handshakes of `gatepost probe` with accounts. They leave no trace in the database."""

from __future__ import annotations

from gatepost.handshake import PROBE_NAME, Buffer, Greeting, Handshake, HandshakeError

_REQUEST = f"domains {PROBE_NAME}"
_SOCKETMAP = f"{len(_REQUEST)}:{_REQUEST},".encode()
_MAX_DIGITS = 6
_USER = f"probe@{PROBE_NAME}"
_HTTP = f"GET /dovecot/userdb?user={_USER} HTTP/1.1\r\nHost: {PROBE_NAME}\r\n\r\n".encode()
_DICT = f"H4\t0\t0\t\tsieve\nLpriv/sieve/name/rules\t{_USER}\n".encode()


def socketmap() -> Handshake:
    """Look up a domain that does not exist (socketmap_table(5)), which must be unknown.

    A temporary error is a failure: the database is away, and the cache cannot answer either.
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
    """Wait for the greeting of Dovecot's authentication protocol, without a login."""
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
        raise HandshakeError("it offers no mechanism")
    return Greeting("offers " + " ".join(offered))


def dovecot() -> Handshake:
    """Ask over HTTP, as Dovecot does, for a mailbox that does not exist.

    A server that requires a token refuses the probe, which shows that it answers, and no more.
    """
    buffer = Buffer()
    head = yield from buffer.until(b"\r\n\r\n", _HTTP)
    status, *lines = head.decode("latin-1").split("\r\n")
    words = status.split(" ")
    if not words[0].startswith("HTTP/1.") or len(words) < 2:
        raise HandshakeError(f"not the answer of an HTTP server: {status[:80]!r}")
    fields = {
        name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
    }
    said = fields.get("x-gatepost-answer", "")
    if said == "unknown":
        return Greeting(f"{PROBE_NAME}: {said}")
    if said:
        raise HandshakeError(f"it cannot answer: {said[:80]}")
    size = fields.get("content-length", "")
    if words[1] == "403" and size == "6" and (yield from buffer.take(6)) == b"token\n":
        return Greeting("it answers, and requires a token")
    raise HandshakeError(f"not the server for Dovecot: {status[:80]!r}")


def dict() -> Handshake:  # noqa: A001  # the name of the kind of server
    """Look up the rules of a mailbox that does not exist, as Dovecot does."""
    buffer = Buffer()
    line = (yield from buffer.until(b"\n", _DICT)).decode("utf-8", "replace").rstrip("\n")
    if line[:1] == "F":
        raise HandshakeError(f"it cannot answer: {line[1:][:200]}")
    if line != "N":
        raise HandshakeError(f"not the answer of the dictionary: {line[:80]!r}")
    return Greeting(f"{PROBE_NAME}: none")
