"""The milter's view of the keys, because `gatepost keys` runs as root, which can read all of
them."""

from __future__ import annotations

import os
from pathlib import Path

from gatepost.cli import configuration
from gatepost.cli.as_user import run_as
from gatepost.cli.service import find_service
from gatepost.errors import StartError
from milters.cli.section import unusable_keys
from milters.file import MiltersFile
from milters.keys.errors import KeysError
from milters.keys.folder import KeyFile
from milters.keys.store import Harm
from milters.keys.tables.author import read_tables
from milters.keys.tables.errors import OpendkimError


def unreadable_by_daemon(config: Path | None) -> list[str]:
    """Return one line for each key that the milter's user cannot read.

    Empty if that user is unknown, or if this user cannot find out.
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


def keys_outside_folder(config: Path | None) -> list[KeyFile]:
    """Return the keys of `[[milters.key]]` and of opendkim's tables, which have no state.

    Raises `KeysError` when a table cannot be read.
    """
    settings = configuration.read_if_any(config, MiltersFile).model.milters
    keys = [KeyFile(entry.domain, entry.selector, entry.file) for entry in settings.key]
    if settings.opendkim_key_table is None or settings.opendkim_signing_table is None:
        return keys
    try:
        tables = read_tables(
            settings.opendkim_key_table, settings.opendkim_signing_table, settings.opendkim_base
        )
    except OpendkimError as error:
        raise KeysError(str(error)) from None
    of_tables = tables.expanded.keys.values()
    keys += [KeyFile(found.domain, found.selector, found.path) for found in of_tables]
    return list(dict.fromkeys(keys))  # several names may lead to one key
