"""Part with the store of the policy server: greylist, limits, counts."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gatepost.backup.database import copy_database, insist_on_whole
from gatepost.backup.part import BackupPart, Saved
from gatepost.cli.as_owner import as_owner_of
from gatepost.errors import StartError
from policyd.cli.greylist import write_entries
from policyd.cli.store import run
from policyd.settings import PolicydSettings
from policyd.stores import Store, StoreEntry
from policyd.stores.sqlite_file import SCHEMA_VERSION, EntryFile

FILE: Final = "store.sqlite"
AT_ONCE: Final = 1000
_LIVE: Final = "FROM entry WHERE value <> '' AND expires > ?"


class PolicydPart:
    """`gatepost.backup.part.BackupPart` for the store of gatepost.toml.

    The copy is the file of an SQLite store, whatever kind the store is.
    """

    name: Final = "policyd"
    lists_itself: Final = False

    def __init__(self, settings: PolicydSettings) -> None:
        self._settings = settings

    def save(self, new: Path, before: Path | None) -> Saved | None:  # noqa: ARG002
        """Copy the store: a file of SQLite by its online backup, Valkey by reading its entries.

        None if there is no file, or the store is in memory.
        """
        store = self._settings.store
        copy = new / FILE
        if store.kind == "memory" or (store.kind == "sqlite" and not store.path.exists()):
            return None
        if store.kind == "sqlite":
            copy_database(store.path, copy, as_owner_of)
        else:
            run(store, lambda opened: _read_into(opened, copy))
        with closing(_open(copy)) as database:
            (count,) = database.execute(f"SELECT count(*) {_LIVE}", (int(time.time()),)).fetchone()
        return Saved({"entry": count})

    def find_obstacle(self) -> str | None:
        """Return None: entries are merged, as those of two servers would be."""
        return None

    def restore(self, saved: Path, scratch: Path) -> Saved:  # noqa: ARG002
        """Merge the entries that have not expired into the store; the server may run."""
        # opened before the process becomes the owner of the store
        with closing(_open(saved / FILE)) as database:
            rows = database.execute(f"SELECT key, value, expires {_LIVE}", (int(time.time()),))
            entries = ((key, StoreEntry(value, expires)) for key, value, expires in rows)
            return Saved({"entry": write_entries(self._settings, entries)})


def parts(settings: PolicydSettings) -> tuple[BackupPart, ...]:
    """Return the store."""
    return (PolicydPart(settings),)


def _open(copy: Path) -> sqlite3.Connection:
    """Open a copy to read it, without files beside it; raises `StartError`."""
    insist_on_whole(copy)
    database = sqlite3.connect(f"file:{quote(str(copy.absolute()))}?immutable=1", uri=True)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        database.close()
        raise StartError(f"{copy} was written by a later version of Gatepost (schema {version})")
    return database


async def _read_into(store: Store, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    file = EntryFile(copy, indexed=False)
    try:
        waiting: dict[str, StoreEntry | None] = {}
        async for key, entry in store.scan(""):
            waiting[key] = entry
            if len(waiting) == AT_ONCE:
                _write(file, waiting)
                waiting = {}
        _write(file, waiting)
    finally:
        file.close()
    with closing(sqlite3.connect(copy)) as database:
        database.execute("PRAGMA journal_mode = DELETE")  # so that it needs no second file


def _write(file: EntryFile, entries: dict[str, StoreEntry | None]) -> None:
    file.begin()
    file.write(entries)
    file.commit()
