"""Size of a mailbox, from Dovecot."""

from __future__ import annotations

import asyncio

import click

from accounts.dovecot.doveadm import DoveadmError, usage
from accounts.dovecot_settings import DovecotSettings

PATIENCE = 5.0
"""Time limit in seconds for the answer of a server."""


def usage_of(settings: DovecotSettings, address: str) -> int | None:
    """Return the octets in a mailbox; None if they are not known.

    A server that fails is reported in a line on standard error, and the next one is asked.
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
