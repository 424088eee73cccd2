"""The token that Dovecot shows with its questions."""

from __future__ import annotations

from typing import Final

from accounts.dovecot_settings import DovecotSettings
from gatepost.errors import StartError

MIN_TOKEN: Final = 16
"""Characters of the token: it is as good as every password."""


def read_token(settings: DovecotSettings) -> bytes | None:
    """Return the token of the settings, None without one; raises `StartError`."""
    if settings.token_file is None:
        return None
    try:
        token = settings.token_file.read().strip()
    except (OSError, ValueError) as error:
        raise StartError(f"accounts.dovecot.token_file: {error}") from None
    # RFC 6750 section 2.1 has fewer characters; these are the ones that a field can carry
    if len(token) < MIN_TOKEN or not all(0x21 <= octet <= 0x7E for octet in token):
        raise StartError(
            f"accounts.dovecot.token_file: {settings.token_file} has no token of at least "
            f"{MIN_TOKEN} printable characters: openssl rand -hex 32"
        )
    return token
