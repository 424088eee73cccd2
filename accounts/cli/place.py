"""Database of gatepost.toml, for commands that work on all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from accounts.settings import AccountsFile
from accounts.store.settings import DatabaseSettings
from gatepost.cli import configuration
from gatepost.cli.as_owner import as_owner_of
from gatepost.errors import StartError


def read_place(ctx: click.Context, config: Path | None) -> DatabaseSettings:
    """Return the settings of the database; `config` is the option of the command or its group."""
    outer = ctx.obj.get("config") if isinstance(ctx.obj, dict) else None
    return configuration.read_if_any(config or outer, AccountsFile).model.accounts.database


@contextmanager
def as_owner(settings: DatabaseSettings) -> Iterator[None]:
    """Run as the owner of the file when started by root: SQLite opens files by name."""
    path = settings.path
    try:
        with nullcontext() if path is None else as_owner_of(path):
            yield
    except OSError as error:
        raise StartError(f"cannot open the datastore {path}: {error.strerror or error}") from None
