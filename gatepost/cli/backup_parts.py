"""The parts of this system, for the commands `backup` and `restore`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from gatepost.backup.part import BackupPart, Saved
from gatepost.backup.secrets import SecretsPart
from gatepost.backup.sqlite_part import SqlitePart
from gatepost.cli import configuration
from gatepost.cli.as_owner import as_owner_of
from gatepost.cli.output import counted, tell
from gatepost.config import GroundSettings, watched_paths

NAMES: Final = ("secrets", "accounts", "policyd", "webmail", "mail")
"""In this order they are restored: mailboxes come before their mail. They are saved in the reverse
order: the mail may take long, and accounts that come meanwhile are not missing."""
_PARTS: Final = {"accounts": "accounts.backup.parts", "policyd": "policyd.backup"}
"""Word of a section: the module whose function `parts(settings)` returns the parts that are its
data. The milter has no data but the files that its section names."""


def parts_of(
    ground: GroundSettings, config: Path | None, without: Sequence[str]
) -> list[BackupPart]:
    """Return the parts of a system but those that are left out; raises `StartError`."""
    found = [part for part in _parts(ground, config) if part.name not in without]
    return sorted(found, key=lambda part: NAMES.index(part.name))


def report(name: str, saved: Saved) -> None:
    """Print a line for a part, and its warnings."""
    numbers = ", ".join(counted(number, noun) for noun, number in saved.counts.items())
    tell(f"{name}: {numbers}")
    for warning in saved.warnings:
        tell(f"warning: {name}: {warning}", err=True)


def without_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add the option that leaves parts out."""
    return click.option(
        "--without",
        multiple=True,
        type=click.Choice(NAMES),
        help="Leave this part out; can be given several times.",
    )(command)


def _parts(ground: GroundSettings, config: Path | None) -> Iterator[BackupPart]:
    present = [daemon for daemon in configuration.daemons(ground) if daemon.is_written]
    paths = [config or configuration.DEFAULT_PATH, *ground.backup.files]
    for daemon in present:
        paths += watched_paths(daemon.settings)
        if module := _PARTS.get(daemon.word):
            found: Sequence[BackupPart] = importlib.import_module(module).parts(daemon.settings)
            yield from found
    yield SecretsPart(paths)
    if ground.backup.webmail is not None:
        yield SqlitePart("webmail", ground.backup.webmail, as_owner_of)
