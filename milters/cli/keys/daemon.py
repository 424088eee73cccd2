"""The milter's view of the keys: `gatepost keys` runs as root, who can read them all."""

from __future__ import annotations

import os
from pathlib import Path

from gatepost.cli import configuration
from gatepost.cli.access import unreadable_keys
from gatepost.cli.service import find_service
from gatepost.errors import StartError


def unreadable_by_daemon(config: Path | None) -> list[str]:
    """The keys that the milter's user cannot read, a line each.

    Empty where nothing says who that is, and where this user cannot find out.
    """
    loaded = configuration.read_if_any(config).model
    try:
        service = find_service("milters", None, loaded.milters.user)
    except StartError as error:
        return [f"the milter cannot start: {error}"]
    runner = service.runner
    if runner is None or (os.geteuid() != 0 and not runner.is_me):
        return []
    return [f"not signed with: {runner}: {text}" for text in unreadable_keys(service, loaded)]
