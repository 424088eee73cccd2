"""`gatepost keys discard`: the command that undoes `gatepost keys new`."""

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
    """Delete new keys of DOMAIN that were made by mistake.

    Only a key that was never active, and that no check has seen in DNS, can be deleted: no mail was
    signed with it. Retire and revoke any other key.
    """
    chosen = sorted(set(selectors))
    names = discard_keys(open_folder(folder, config), domain, chosen)
    if as_json:
        click.echo(json.dumps({"domain": domain, "discarded": chosen, "records": names}, indent=2))
        return
    click.echo(
        f"Deleted: {', '.join(chosen)} of {domain}. If you have put their records into DNS, remove "
        f"them:\n  " + "\n  ".join(names)
    )
