"""`gatepost keys discard`: the way back from `gatepost keys new`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from milters.cli.keys.options import (
    domain_argument,
    folder_options,
    open_folder,
    some_selector_arguments,
)
from milters.keys.lifecycle import discard as discard_keys


@click.command()
@domain_argument
@some_selector_arguments
@folder_options
def discard(
    domain: str,
    selectors: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
    config: Path | None,
) -> None:
    """Delete the SELECTORS of DOMAIN that are new, as after running `gatepost keys new` twice.

    Only keys that were never active, and that no check has seen in DNS: nothing was signed with
    them. Others are retired and revoked.
    """
    chosen = sorted(set(selectors))
    names = discard_keys(open_folder(folder, config), domain, chosen)
    if as_json:
        click.echo(json.dumps({"domain": domain, "discarded": chosen, "records": names}, indent=2))
        return
    click.echo(
        f"Deleted: {', '.join(chosen)} of {domain}. Should their records be in DNS already, remove "
        f"them there:\n  " + "\n  ".join(names)
    )
