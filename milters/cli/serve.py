"""`gatepost milters`: the milter behind `smtpd_milters`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatepost.cli import configuration
from gatepost.config import GroundSettings
from milters.file import MiltersFile
from milters.keys.live import KeyKeeper
from milters.service import serve
from milters.settings import MiltersSettings


@click.command()
@configuration.config_option
def milters(config: Path | None) -> None:
    """Run the milter: sign outgoing mail, verify incoming mail.

    SIGHUP, or a change of the configuration or the keys, reloads them without dropping a
    connection; SIGTERM finishes the messages under way and stops.
    """

    def load() -> tuple[GroundSettings, MiltersSettings]:
        loaded = configuration.read(config, MiltersFile).model
        return loaded, loaded.milters

    sys.exit(serve(load, KeyKeeper, config or configuration.DEFAULT_PATH))
