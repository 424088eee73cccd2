"""Part with the database of accounts: users, passwords, aliases, rules, sealed DKIM keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from accounts.cli.datastore import opened_file
from accounts.cli.place import as_owner
from accounts.directory import web_sessions
from accounts.settings import AccountsFile
from accounts.snapshots.history import note_restore
from accounts.store import schema
from accounts.store.dump import dump, restore_dump
from accounts.store.replica import copy_in, copy_out
from accounts.store.revisions import REVISIONS
from gatepost.backup.part import Saved

FILE: Final = "database"


class AccountsPart:
    """`gatepost.backup.part.BackupPart` for the database of gatepost.toml."""

    name: Final = "accounts"
    lists_itself: Final = False

    def __init__(self, file: AccountsFile) -> None:
        self._file = file
        self._settings = file.accounts.database

    def save(self, new: Path, before: Path | None) -> Saved | None:  # noqa: ARG002
        """Copy the data of one moment: an SQLite database or a PostgreSQL dump, as the datastore
        is."""
        copy = new / FILE
        if self._settings.path is None:
            dump(self._settings, copy)
            return Saved({"octet": copy.stat().st_size})
        if not self._settings.path.exists():
            return None
        return Saved({"mailbox": copy_out(self._settings, copy, lambda: as_owner(self._settings))})

    def find_obstacle(self) -> str | None:
        """Return how many mailboxes and domains there are."""
        path = self._settings.path
        if path is not None and not path.exists():
            return None
        if path is not None and not _has_tables(self._file):
            return None
        with opened_file(self._file) as datastore:
            domains, mailboxes = datastore.read(
                lambda connection: tuple(
                    connection.execute(select(func.count()).select_from(table)).scalar_one()
                    for table in (schema.domain, schema.mailbox)
                )
            )
        if not domains and not mailboxes:
            return None
        return f"there are {domains} domains and {mailboxes} mailboxes in {self._settings.url}"

    def restore(self, saved: Path, scratch: Path) -> Saved:  # noqa: ARG002
        """Replace all data in one transaction; the service may run."""
        copy = saved / FILE
        if self._settings.path is None:
            revision = restore_dump(self._settings, copy)
        else:
            revision = copy_in(self._settings, copy, lambda: as_owner(self._settings))
        if revision == REVISIONS[-1]:
            # tells daemons with later data to take these all the same
            with opened_file(self._file) as datastore:
                datastore.write(note_restore)
                datastore.write(web_sessions.remove_all)
        return Saved({"octet": copy.stat().st_size})


def _has_tables(file: AccountsFile) -> bool:
    settings = file.accounts.database
    assert settings.path is not None  # noqa: S101 # the caller asked
    with as_owner(settings), closing(sqlite3.connect(settings.path)) as database:
        (count,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(count)
