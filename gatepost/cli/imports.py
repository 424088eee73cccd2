"""`gatepost import`: the configuration of what Gatepost takes the place of."""

from __future__ import annotations

import click

from gatepost.cli.import_opendkim import opendkim
from gatepost.cli.import_postgrey import postgrey


@click.group(name="import")
def import_() -> None:
    """Turn the configuration of another program into one of Gatepost."""


import_.add_command(opendkim)
import_.add_command(postgrey)
