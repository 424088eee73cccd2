"""`gatepost accounts backup`: all data in one file, which is checked after writing."""

from __future__ import annotations

from pathlib import Path

import click

from accounts.cli.place import as_owner, read_place
from accounts.store.dump import dump
from accounts.store.migrate import check
from accounts.store.replica import copy_out
from gatepost.cli import configuration
from gatepost.cli.output import counted, tell
from gatepost.errors import StartError


@click.command()
@configuration.config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Replace FILE if it exists.")
@click.pass_context
def backup(ctx: click.Context, config: Path | None, file: Path, yes: bool) -> None:
    """Write all data of one moment to FILE, while the service runs.

    FILE is an SQLite database or a PostgreSQL dump, like the datastore. It is checked before it
    gets its name. Only you can read it, because it has the hashes of passwords. It does not include
    the key file for encrypted secrets.
    """
    settings = read_place(ctx, config)
    if file.exists() and not yes:
        raise StartError(f"{file} exists: name another file, or use --yes")
    with as_owner(settings):
        check(settings)
    if settings.path is not None:
        mailboxes = copy_out(settings, file, lambda: as_owner(settings))
        tell(f"{file}: {counted(mailboxes, 'mailbox')}, checked")
    else:
        dump(settings, file)
        tell(f"{file}: checked")
