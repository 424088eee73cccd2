"""Token that Dovecot sends with its requests."""

from __future__ import annotations

from typing import Final

from gatepost.config import SecretFile

MIN_TOKEN: Final = 16
"""Minimum length of the token in characters: whoever has it can try every password."""


def read_token(file: SecretFile) -> bytes:
    """Return the token; raises `OSError`, and `ValueError` for an unusable one."""
    token = file.read().strip()
    # RFC 6750 section 2.1 allows fewer characters; these are all that a header field can carry
    if len(token) < MIN_TOKEN or not all(0x21 <= octet <= 0x7E for octet in token):
        raise ValueError(
            f"{file} has no token of at least {MIN_TOKEN} printable characters: `openssl rand "
            "-hex 32` makes one"
        )
    return token
