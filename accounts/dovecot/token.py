"""The token that Dovecot shows with its questions."""

from __future__ import annotations

from typing import Final

from gatepost.config import SecretFile

MIN_TOKEN: Final = 16
"""Characters of the token: it opens the way to try every password."""


def read_token(file: SecretFile) -> bytes:
    """Return the token; raises `OSError`, and `ValueError` for what is none."""
    token = file.read().strip()
    # RFC 6750 section 2.1 has fewer characters; these are the ones that a field can carry
    if len(token) < MIN_TOKEN or not all(0x21 <= octet <= 0x7E for octet in token):
        raise ValueError(
            f"{file} has no token of at least {MIN_TOKEN} printable characters: write one with "
            "openssl rand -hex 32"
        )
    return token
