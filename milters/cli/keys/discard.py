"""`gatepost keys discard`: the way back from `gatepost keys new`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from milters.cli.keys.options import (
    domain_argument,
    folder_options,
    open_folder,
    refuse_flat,
    select,
    some_selector_arguments,
)
from milters.keys.names import record_name


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
    key_folder = open_folder(folder, config)
    chosen = sorted(set(selectors))
    refuse_flat(key_folder, select(key_folder, domain, tuple(chosen), ()))
    key_folder.discard(domain, chosen)
    names = [record_name(domain, selector) for selector in chosen]
    if as_json:
        click.echo(json.dumps({"domain": domain, "discarded": chosen, "records": names}, indent=2))
        return
    click.echo(
        f"Deleted: {', '.join(chosen)} of {domain}. Should their records be in DNS already, remove "
        f"them there:\n  " + "\n  ".join(names)
    )
