"""`gatepost delivery`: the LMTP proxy between Postfix and the mail stores."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from delivery.file import DeliveryFile
from delivery.settings import DeliverySettings
from gatepost.cli import configuration
from gatepost.config import GroundSettings


@click.command()
@configuration.config_option
def delivery(config: Path | None) -> None:
    """Run the LMTP proxy: scan mail for each recipient, mark it, hand it to the mail store.

    \b
    In main.cf:
      virtual_transport = lmtp:inet:127.0.0.1:10024

    SIGHUP, or a change of its files, reloads the configuration; SIGTERM delivers the messages in
    progress and stops.
    """
    from delivery.service import serve

    def load() -> tuple[GroundSettings, DeliverySettings]:
        model = configuration.read_if_any(config, DeliveryFile).model
        return model, model.delivery

    sys.exit(serve(load, config or configuration.DEFAULT_PATH))
