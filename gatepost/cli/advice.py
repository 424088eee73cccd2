"""Warnings about settings that are allowed but may be mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost.cli.configuration import daemons
from gatepost.config import GroundSettings
from gatepost.config.networks import too_large


def advice(model: GroundSettings) -> Iterator[tuple[str, str]]:
    """Yield keys of the whole configuration, each with a sentence. It queries and opens nothing."""
    if told := too_large(model.proxy_networks):
        yield "proxy_networks", f"contains {told}: are they all yours?"
    for daemon in daemons(model):
        if daemon.is_written:
            yield from daemon.section.advice(daemon.settings)
