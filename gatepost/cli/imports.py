"""`gatepost import`: import of the configuration of the programs that Gatepost replaces."""

from __future__ import annotations

import click

from gatepost.cli.table import CommandTable

COMMANDS = {
    "opendkim": (
        "milters.cli.import_opendkim",
        "Print the gatepost.toml for PATH, an opendkim.conf.",
    ),
    "postgrey": ("policyd.cli.import_postgrey", "Take over what postgrey knows from DIRECTORY."),
}
"""Word: the module with the click command of that name, and its line in `gatepost import
--help`."""


@click.command(name="import", cls=CommandTable, table=COMMANDS)
def import_() -> None:
    """Turn the configuration of another program into one of Gatepost."""
