"""`gatepost accounts restore`: replace all data with those of a backup."""

from __future__ import annotations

from pathlib import Path

import click

from accounts.cli.datastore import opened
from accounts.cli.place import as_owner, read_place
from accounts.directory import moves, web_sessions
from accounts.snapshots.history import note_restore
from accounts.store.dump import restore_dump
from accounts.store.replica import copy_in
from accounts.store.revisions import REVISIONS
from gatepost.cli import configuration
from gatepost.cli.output import tell


@click.command()
@configuration.config_option
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def restore(ctx: click.Context, config: Path | None, file: Path, yes: bool) -> None:
    """Replace all data with those in FILE, which `gatepost accounts backup` has written.

    FILE is checked first. The change is one transaction, so the service may run: it answers from
    the old data until then.
    """
    settings = read_place(ctx, config)
    if not yes:
        click.confirm(f"All data in {settings.url} are replaced. Continue?", abort=True)
    if settings.path is not None:
        revision = copy_in(settings, file, lambda: as_owner(settings))
    else:
        revision = restore_dump(settings, file)
    if revision == REVISIONS[-1]:
        # tells daemons with later data to take these all the same
        with opened(config) as datastore:
            datastore.write(note_restore)
            datastore.write(web_sessions.remove_all)
            datastore.write(moves.end_all)
    tell(f"{settings.url}: restored from {file}, revision {revision}")
