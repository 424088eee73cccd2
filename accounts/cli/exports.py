"""`gatepost accounts export`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import cast

import click

from accounts.cli.datastore import opened
from accounts.cli.options import ask, yes_option
from accounts.exchange.document import render
from accounts.exchange.export import Secrets
from accounts.exchange.export import export as export_document
from gatepost.cli.configuration import config_option
from gatepost.cli.output import counted, tell
from gatepost.folder import OpenFolder

_MODE = 0o600
"""Mode of the file, which has the hashes of passwords."""


@click.command()
@click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False), default="-"
)
@click.option(
    "--secrets",
    type=click.Choice(["clear", "sealed", "none"]),
    default="clear",
    show_default=True,
    help="Private DKIM keys and passwords of remote accounts: in clear text, encrypted as in the "
    "datastore (usable only with the same key file), or omitted.",
)
@yes_option
@config_option
def export(file: Path, secrets: str, yes: bool, config: Path | None) -> None:
    """Write everything but tokens and the audit log to FILE, or to standard output.

    It is JSON that `gatepost accounts import gatepost FILE` reads. It always includes the hashes of
    passwords. FILE gets mode 0600, and appears when it is complete.
    """
    with opened(config) as store:
        seal = store.seal()
        document = store.read(
            lambda connection: export_document(
                connection, seal=seal, secrets=cast(Secrets, secrets), now=int(time.time())
            )
        )
    data = render(document)
    if str(file) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if file.exists():
        ask(f"Replace {file}?", yes=yes)
    try:
        with OpenFolder.open(file.parent) as folder:
            folder.replace(file.name, data, _MODE)
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from None
    counts = (
        counted(len(document.domains), "domain"),
        counted(len(document.mailboxes), "mailbox"),
        counted(len(document.aliases), "alias"),
    )
    tell(f"wrote {file}: {', '.join(counts)}", err=True)
