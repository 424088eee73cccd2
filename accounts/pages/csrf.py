"""Tokens of forms, which pages of other sites cannot know.

A token is derived from the secret in a cookie. Each page has it under another mask, so that the
length of a compressed page tells nothing about it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

_LENGTH = 32


def make_token(secret: str) -> str:
    """Return a token for the secret of a cookie."""
    mask = secrets.token_bytes(_LENGTH)
    hidden = bytes(a ^ b for a, b in zip(mask, _derived(secret), strict=True))
    return base64.urlsafe_b64encode(mask + hidden).decode()


def is_token(text: str, secret: str) -> bool:
    """Return whether a text is a token for the secret of a cookie."""
    try:
        octets = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        return False
    if len(octets) != 2 * _LENGTH:
        return False
    found = bytes(a ^ b for a, b in zip(octets[:_LENGTH], octets[_LENGTH:], strict=True))
    return hmac.compare_digest(found, _derived(secret))


def _derived(secret: str) -> bytes:
    return hashlib.sha256(b"form\0" + secret.encode()).digest()
