"""`gatepost keys retire` and `gatepost keys revoke`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from milters.cli.keys.dns import Update, update_options
from milters.cli.keys.options import (
    again,
    domain_argument,
    folder_options,
    open_folder,
    some_selector_arguments,
)
from milters.keys import lifecycle
from milters.keys.errors import KeysError, LastKeyError, StillNeededError
from milters.keys.record import present
from milters.keys.state import OVERLAP, print_date


@click.command()
@domain_argument
@some_selector_arguments
@click.option("--last", is_flag=True, help="Retire them even if no active key is left.")
@folder_options
def retire(
    domain: str,
    selectors: tuple[str, ...],
    last: bool,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Stop signing with the SELECTORS of DOMAIN.

    Leave their records in DNS for mail in transit.
    """
    now = datetime.now(UTC)
    try:
        lifecycle.retire(open_folder(folder, config), domain, selectors, now, even_the_last=last)
    except LastKeyError as error:
        raise KeysError(f"{error}; use --last to retire it anyway") from None
    if as_json:
        click.echo(json.dumps({"domain": domain, "retired": sorted(selectors)}, indent=2))
        return
    click.echo(
        f"Retired: {', '.join(selectors)}. Leave the records in DNS until "
        f"{print_date(now + OVERLAP)[:10]}; then:\n"
        f"  {again('revoke', domain, folder, *selectors)}"
    )


@click.command()
@domain_argument
@some_selector_arguments
@click.option(
    "--now",
    "at_once",
    is_flag=True,
    help="Even if the key is active or was retired less than a week ago, for example because it "
    "was stolen. Mail in transit that it signed will fail.",
)
@update_options
@folder_options
def revoke(
    domain: str,
    selectors: tuple[str, ...],
    at_once: bool,
    update: Update,
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Revoke the SELECTORS of DOMAIN: their signatures become invalid.

    Their records get an empty p=. The new records are printed, or put into DNS with --server. This
    cannot be undone.
    """
    primary = None
    if update.server:
        primary = partial(update.open, config)
    try:
        done = lifecycle.revoke(
            open_folder(folder, config),
            domain,
            selectors,
            primary,
            datetime.now(UTC),
            at_once=at_once,
        )
    except StillNeededError as error:
        raise KeysError(f"{error}{', or' if error.still_signs else ';'} see --now") from None
    if as_json:
        where = str(done.primary.server) if done.primary else None
        result = {"domain": domain, "server": where, "records": done.records}
        click.echo(json.dumps(result, indent=2))
        return
    if done.primary is not None:
        click.echo(f"Revoked at {done.primary.server}: {', '.join(done.records)}")
    else:
        click.echo("Revoked here. Now replace the records in DNS with:\n")
        for name, text in done.records.items():
            click.echo(present(name, text, "bind", update.ttl))
    click.echo("\nYou may delete the key files; their selectors are not used again.")
