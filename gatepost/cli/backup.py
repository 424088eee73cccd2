"""`gatepost backup`: a verified copy of the whole system in one folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from gatepost.backup.folder import BackupFolder
from gatepost.backup.run import BackupOrigin, save
from gatepost.cli import configuration
from gatepost.cli.backup_parts import parts_of, report, without_option
from gatepost.cli.output import tell
from gatepost.errors import StartError
from gatepost.version import __version__


@click.command()
@configuration.config_option
@click.argument("folder", type=click.Path(path_type=Path))
@without_option
def backup(config: Path | None, folder: Path, without: tuple[str, ...]) -> None:
    """Bring the backup in FOLDER up to date, while mail flows.

    It has the database of accounts, the mail and Sieve scripts of all mailboxes, the store of the
    policy server, the database of webmail, and (in the part `secrets`) the configuration, keys and
    secrets. Only changes are copied. Everything is read again and checked before it replaces the
    last backup, which stays in FOLDER/previous. If it fails or is killed, the last one is as it
    was, and the next run goes on from there.

    FOLDER must be empty, missing, or from this command. Dovecot must have it at the same path.
    """
    ground = configuration.read_whole(config).model
    parts = parts_of(ground, config, without)[::-1]
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        with BackupFolder.opened(folder, make=True) as opened:
            save(opened, parts, without, BackupOrigin(__version__, ground.hostname, time), report)
    except OSError as error:
        raise StartError(f"{error.filename or folder}: {error.strerror or error}") from None
    tell(f"{folder}: backup of {time} is complete and checked")
    if "secrets" not in without:
        tell(
            f"warning: {folder} has passwords' hashes, keys and secrets: whoever reads it can sign "
            "your mail. Only its owner can; keep that so where you copy it, or use --without "
            "secrets",
            err=True,
        )
