"""`gatepost accounts reseal`: encrypt all secrets with the first key of the key file."""

from __future__ import annotations

from pathlib import Path

import click

from accounts.cli.datastore import opened
from accounts.directory import sealed
from gatepost.cli.configuration import config_option
from gatepost.cli.output import counted, tell


@click.command()
@config_option
def reseal(config: Path | None) -> None:
    """Encrypt all secrets with the first key of the key file.

    Put a new key into the first line of `key_file`, above the old ones, and run this while the
    service runs. It encrypts again the private DKIM keys, passwords of remote accounts and secrets
    of one-time codes that have an older key, also those of deleted mailboxes: all of them or none.
    Then the older lines can go. Backups from before need the older keys.
    """
    with opened(config) as store:
        seal = store.seal()
        count = store.write(lambda write: sealed.reseal(write, seal))
    tell(f"{counted(count, 'secret')} encrypted with the first key" if count else "nothing to do")
