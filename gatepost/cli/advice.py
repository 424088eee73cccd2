"""Settings that are allowed and worth a second look."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.cli.configuration import daemons
from gatepost.config import GroundSettings
from gatepost.config.networks import too_large


def advice(model: GroundSettings) -> Iterator[tuple[str, str]]:
    """Keys of the whole configuration, each with a sentence. Nothing is asked or opened."""
    if told := too_large(model.proxy_networks):
        yield "proxy_networks", f"holds {told}: are they all yours?"
    for daemon in daemons(model):
        if daemon.is_written:
            yield from daemon.section.advice(daemon.settings)
