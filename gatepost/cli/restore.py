"""`gatepost restore`: the whole system from a folder that `gatepost backup` wrote."""

from __future__ import annotations

from pathlib import Path

import click

from gatepost.backup import run
from gatepost.backup.folder import BackupFolder
from gatepost.backup.secrets import put_secrets_back
from gatepost.cli import configuration
from gatepost.cli.backup_parts import parts_of, report, without_option
from gatepost.cli.output import tell
from gatepost.errors import StartError


@click.command()
@configuration.config_option
@click.argument("folder", type=click.Path(path_type=Path))
@without_option
@click.option("--check", is_flag=True, help="Only read the whole backup and check it.")
@click.option(
    "--yes",
    is_flag=True,
    help="Replace the accounts that are there, and files that differ. Mail is never removed.",
)
def restore(
    config: Path | None, folder: Path, without: tuple[str, ...], check: bool, yes: bool
) -> None:
    """Put the last backup in FOLDER back into place.

    The whole backup is read and checked first. Then the parts are restored in this order: secrets
    and configuration, accounts, the store of the policy server, webmail, mail. Accounts and Dovecot
    run meanwhile. If it fails or is killed, run it again with --yes: nothing comes twice.

    Without --yes, nothing is done where there are accounts already, or a file that differs.
    """
    try:
        with BackupFolder.opened(folder, make=False) as opened:
            manifest = run.check(opened)
            numbers = ", ".join(manifest.parts)
            tell(f"{folder}: backup of {manifest.hostname} at {manifest.time} is whole: {numbers}")
            if not check:
                _restore(opened, set(manifest.parts) - set(without), config, yes=yes)
    except OSError as error:
        raise StartError(f"{error.filename or folder}: {error.strerror or error}") from None


def _restore(folder: BackupFolder, names: set[str], config: Path | None, *, yes: bool) -> None:
    if "secrets" in names:
        # first of all: it has the configuration that says where everything else is
        report("secrets", put_secrets_back(folder.current / "secrets", replace=yes))
        names.discard("secrets")
    ground = configuration.read_whole(config).model
    parts = [part for part in parts_of(ground, config, ()) if part.name in names]
    if homeless := names - {part.name for part in parts}:
        raise StartError(
            f"the configuration has no place for {', '.join(sorted(homeless))}; --without leaves "
            "it out"
        )
    if not yes:
        for part in parts:
            if obstacle := part.find_obstacle():
                raise StartError(f"{obstacle}; --yes replaces them")
    run.restore(folder, parts, report)
    tell(f"restored from {folder.path}")
