"""SASL's PLAIN and LOGIN: login and password from the base64 of a client."""

from __future__ import annotations

import binascii
import re
from typing import Final

MAX_LOGIN: Final = 320
"""Octets of a login: 64 for a local part, ``@``, and 255 for a domain."""
MAX_PASSWORD: Final = 1024
"""Octets of a password: more than anybody types, and cheap to hash."""
MAX_RESPONSE: Final = 4 * (2 * MAX_LOGIN + MAX_PASSWORD + 2) // 3 + 4
"""Octets of base64 of the longest valid response."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")

MECHANISMS: Final = ("PLAIN", "LOGIN")


class SaslError(ValueError):
    """The response is malformed; the message says why, without the password."""


def decode(response: bytes) -> bytes:
    """Return the octets of a base64 response; raises `SaslError`.

    ``=`` alone is an empty initial response (RFC 4954 section 4).
    """
    if response == b"=":
        return b""
    if len(response) > MAX_RESPONSE:
        raise SaslError("the response is too long")
    if len(response) % 4 or not _BASE64.fullmatch(response):
        raise SaslError("the response is not base64")
    return binascii.a2b_base64(response)


def plain(message: bytes) -> tuple[str, str]:
    """Return login and password of a PLAIN message (RFC 4616 section 2); raises `SaslError`.

    Nobody may act as another user: an authorization identity must be the login.
    """
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError("not a PLAIN response")
    identity, name, password = parts
    login = login_name(name)
    if identity and login_name(identity).lower() != login.lower():
        raise SaslError("the response asks for another authorization identity")
    return login, secret(password)


def login_name(raw: bytes) -> str:
    """Return the login as text; raises `SaslError`."""
    if not 0 < len(raw) <= MAX_LOGIN:
        raise SaslError("no login, or one that is too long")
    text = _text(raw, "login")
    if not text.isprintable():
        raise SaslError("a control character in the login")
    return text


def secret(raw: bytes) -> str:
    """Return the password as text; raises `SaslError`."""
    if not 0 < len(raw) <= MAX_PASSWORD:
        raise SaslError("no password, or one that is too long")
    if b"\0" in raw:
        raise SaslError("a NUL in the password")
    return _text(raw, "password")


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()  # RFC 4616 section 2: UTF-8
    except UnicodeDecodeError:
        raise SaslError(f"a {what} that is not UTF-8") from None
