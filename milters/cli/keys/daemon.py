"""The milter's view of the keys: `gatepost keys` runs as root, who can read them all."""

from __future__ import annotations

import os
from pathlib import Path

from gatepost.cli import configuration
from gatepost.cli.as_user import run_as
from gatepost.cli.service import find_service
from gatepost.errors import StartError
from milters.cli.section import unusable_keys
from milters.file import MiltersFile
from milters.keys.store import Harm


def unreadable_by_daemon(config: Path | None) -> list[str]:
    """The keys that the milter's user cannot read, a line each.

    Empty where nothing says who that is, and where this user cannot find out.
    """
    settings = configuration.read_if_any(config, MiltersFile).model.milters
    try:
        service = find_service("milters", None, settings.user)
    except StartError as error:
        return [f"the milter cannot start: {error}"]
    runner = service.runner
    if runner is None or (os.geteuid() != 0 and not runner.is_me):
        return []
    unreadable = run_as(
        runner, lambda: [("", text) for text in unusable_keys(settings, Harm.UNREADABLE)]
    )
    return [f"not signed with: {runner}: {text}" for _, text in unreadable]
