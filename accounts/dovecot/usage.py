"""Usage of a mailbox, asked of all Dovecot servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from accounts.dovecot.doveadm import DoveadmError, usage
from accounts.dovecot_settings import DovecotSettings
from accounts.stored_mail import StoredMail

PATIENCE: Final = 5.0
"""Time limit in seconds for the answers of the servers."""


async def ask_usage(
    settings: DovecotSettings, address: str, failed: Callable[[str, str], None]
) -> StoredMail | None:
    """Return what the first server that knows a mailbox says about it; None if none knows it.

    `failed` is called with the URL and the reason for each server that fails.
    """
    secret = settings.doveadm_key_file
    if secret is None or not settings.doveadm_url:
        return None

    async def ask(url: str) -> StoredMail | str | None:
        try:
            return await usage(url, secret.read_text(), address, PATIENCE)
        except (DoveadmError, OSError, ValueError) as error:
            return str(error)

    known: StoredMail | None = None
    answers = await asyncio.gather(*map(ask, settings.doveadm_url))
    for url, answer in zip(settings.doveadm_url, answers, strict=True):
        if isinstance(answer, str):
            failed(url, answer)
        elif known is None:
            known = answer
    return known
