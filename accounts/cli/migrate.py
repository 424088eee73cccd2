"""`gatepost accounts migrate`: create the tables of the datastore, or change their revision."""

from __future__ import annotations

from pathlib import Path

import click

from accounts.cli.place import as_owner, read_place
from accounts.store import migrate as migration
from accounts.store.revisions import REVISIONS
from gatepost.cli import configuration
from gatepost.cli.output import tell
from gatepost.errors import StartError


@click.command()
@configuration.config_option
@click.option(
    "--to",
    "revision",
    metavar="REVISION",
    help=f"An earlier revision, for an earlier version of Gatepost; {migration.NOTHING} removes "
    "all data.",
)
@click.option("--yes", is_flag=True, help="Do not ask before data are lost.")
@click.pass_context
def migrate(ctx: click.Context, config: Path | None, revision: str | None, yes: bool) -> None:
    """Create the tables of the datastore, or bring them to this version.

    Stop the service first, and make a backup. A migration is done completely or not at all.
    """
    settings = read_place(ctx, config)
    is_down = revision is not None and revision != REVISIONS[-1]
    if is_down and not yes:
        click.confirm(
            f"Data that revision {revision} has no place for are lost. Continue?", abort=True
        )
    _insist_on_folder(settings.path)
    with as_owner(settings):
        if revision is not None and is_down:
            before, after = migration.downgrade(settings, revision)
        else:
            before, after = migration.upgrade(settings)
    if before == after:
        tell(f"{settings.url}: revision {after}, nothing to do")
    else:
        tell(f"{settings.url}: from revision {before or 'none'} to {after}")


def _insist_on_folder(path: Path | None) -> None:
    if path is not None and not path.parent.is_dir():
        raise StartError(
            f"there is no folder {path.parent}: create it, and give it to the user that `gatepost "
            "accounts` runs as"
        )
