"""The size of a mailbox, as Dovecot tells it."""

from __future__ import annotations

import asyncio

import click

from accounts.dovecot.doveadm import DoveadmError, usage
from accounts.dovecot_settings import DovecotSettings

PATIENCE = 5.0
"""Seconds for the answer of a server."""


def usage_of(settings: DovecotSettings, address: str) -> int | None:
    """Return the octets that a mailbox holds; None if nobody knows.

    A server that does not answer is a line on standard error: what else is known is still shown.
    """
    if settings.doveadm_key_file is None:
        return None
    for url in settings.doveadm_url:
        try:
            key = settings.doveadm_key_file.read_text()
            found = asyncio.run(usage(url, key, address, PATIENCE))
        except (DoveadmError, OSError, ValueError) as error:
            click.echo(f"doveadm at {url}: {error}", err=True)
            continue
        if found is not None:
            return found
    return None
