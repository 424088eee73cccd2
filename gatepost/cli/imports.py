"""`gatepost import`: the configuration of what Gatepost takes the place of."""

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
"""Word: the module that has a click command of that name, and what `gatepost import --help` says of
it."""


@click.command(name="import", cls=CommandTable, table=COMMANDS)
def import_() -> None:
    """Turn the configuration of another program into one of Gatepost."""
