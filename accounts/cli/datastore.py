"""Datastore for commands: blocking calls, made as the owner of its file."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 # otherwise asyncio would import it as the owner of the file
import os
import pwd
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import Connection

from accounts.address import AccountAddressError
from accounts.cli.executor import Away
from accounts.cli.place import as_owner
from accounts.passwords import PasswordError, PasswordSettings
from accounts.settings import AccountsFile
from accounts.store import migrate
from accounts.store.database import Database
from accounts.store.errors import DatastoreError, DatastoreUnavailable, RefusalError
from accounts.store.seal import SecretSeal
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from gatepost.cli import configuration
from gatepost.config import LogSettings
from gatepost.errors import StartError
from gatepost.logs import configure

T = TypeVar("T")


class Datastore:
    """An open datastore. Its methods raise `DatastoreError`, and what `work` raises."""

    def __init__(self, database: Database, file: AccountsFile, runner: asyncio.Runner) -> None:
        self.database = database
        self._runner = runner
        self.file = file

    @property
    def passwords(self) -> PasswordSettings:
        """The rules for new passwords."""
        return self.file.accounts.passwords

    def seal(self) -> SecretSeal:
        """Read the key that secrets are encrypted with; raises `SealError`."""
        return SecretSeal.read(self.file.accounts.database.key_file)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Let `work` read from one state of the data."""
        with as_owner(self.file.accounts.database):
            return self._runner.run(self.database.read(work))

    def write(self, work: Callable[[Write], T]) -> T:
        """Let `work` write in one transaction, as the user who runs the command."""
        with as_owner(self.file.accounts.database):
            return self._runner.run(self.database.write(actor(), work))

    def rehearse(self, work: Callable[[Write], T]) -> T:
        """Return what `write` would return, and roll back.

        A refusal is entered in the audit log, like that of a `write`.
        """
        try:
            with as_owner(self.file.accounts.database):
                return self._runner.run(self.database.rehearse(actor(), work))
        except RefusalError as error:
            refused = error  # Python deletes the name at the end of this block

            def refuse(_: Write) -> T:
                raise refused

            return self.write(refuse)

    def run_as_owner(self, awaited: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that uses `database`."""
        with as_owner(self.file.accounts.database):
            return self._runner.run(awaited)

    def close(self) -> None:
        """Close the database."""
        with as_owner(self.file.accounts.database):
            self._runner.run(self.database.close())


@contextmanager
def opened(config: Path | None, *, make: bool = False) -> Iterator[Datastore]:
    """Yield the datastore of gatepost.toml; an error in the block becomes one line and status 1.

    `make`: create a missing SQLite file, and say so. Only commands that add data do so: otherwise a
    wrong path would look like an empty datastore.
    """
    with opened_file(read_file(config), make=make) as datastore:
        yield datastore


def read_file(config: Path | None) -> AccountsFile:
    """Read gatepost.toml: the file named by the command or its group, or the usual one."""
    return configuration.read_if_any(config or _of_group(), AccountsFile).model


@contextmanager
def opened_file(file: AccountsFile, *, make: bool = False) -> Iterator[Datastore]:
    """Yield the datastore like `opened`, for a configuration that was read."""
    settings = file.accounts.database
    # the command reports the same as an error
    configure(LogSettings(level="error"))
    with errors_in_one_line(), asyncio.Runner() as runner:
        if make:
            _make(settings)
        with as_owner(settings):
            database = Database.open(settings)
        database.stores = lambda: file.accounts.stores.names
        datastore = Datastore(database, file, runner)
        try:
            yield datastore
        finally:
            datastore.close()


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn errors that the administrator can understand into one line and exit status 1."""
    try:
        yield
    except DatastoreUnavailable as error:
        raise Away(f"the datastore is away; nothing was changed: {error}") from None
    except (DatastoreError, StartError, PasswordError, AccountAddressError) as error:
        raise click.ClickException(str(error)) from None


def _of_group() -> Path | None:
    """Return the option `--config` of the group that a command belongs to."""
    context = click.get_current_context(silent=True)
    outer = context.obj.get("config") if context and isinstance(context.obj, dict) else None
    return outer if isinstance(outer, Path) else None


def _make(settings: DatabaseSettings) -> None:
    """Create a missing SQLite file with its tables; of several processes, one does it."""
    path = settings.path
    if path is None:
        return
    if not path.parent.is_dir():
        raise StartError(
            f"there is no folder {path.parent} for the datastore: create it, and give it to the "
            "user that `gatepost accounts` runs as"
        )
    with as_owner(settings):
        # a file without a revision may be one that another process is creating
        if path.exists() and migrate.current(settings) is not None:
            return
        before, _ = migrate.upgrade(settings)
    if before is None:
        click.echo(f"created the datastore {path}", err=True)


def actor() -> Actor:
    """Return the user who runs the command, for the audit log."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Actor(f"{name}@cli")
