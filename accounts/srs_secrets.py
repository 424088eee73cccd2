"""Secrets of `[accounts.srs]`, read from their file."""

from __future__ import annotations

from typing import Final

from accounts.lookup.srs import SenderRewriting
from accounts.srs_settings import DAY, SrsSettings
from gatepost.errors import StartError

MIN_SECRET: Final = 16
"""Minimum length of a secret in characters; a shorter one could be guessed from its hashes."""
MAX_SECRETS: Final = 16


def sender_rewriting(settings: SrsSettings) -> SenderRewriting | None:
    """Return the rewriting that the settings describe, or None; raises `StartError`."""
    file = settings.secret_file
    if file is None:
        return None
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise StartError(f"accounts.srs.secret_file: cannot read it: {error}") from None
    secrets = [line.strip().encode() for line in lines if line.strip()]
    if not 0 < len(secrets) <= MAX_SECRETS or min(map(len, secrets)) < MIN_SECRET:
        raise StartError(
            f"accounts.srs.secret_file: {file} must have 1 to {MAX_SECRETS} lines of at least "
            f"{MIN_SECRET} characters: `openssl rand -base64 32` makes such a line"
        )
    return SenderRewriting(settings.domain, secrets, int(settings.max_age // DAY))
