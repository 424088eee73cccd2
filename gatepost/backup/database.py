"""Copies of an SQLite file while others write to it, by SQLite's online backup."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from gatepost.errors import StartError
from gatepost.store_file import check_store_file, make_store_file

WAIT = 10.0
"""Seconds to wait for a writer."""
PAGES = 1024
"""Pages of one step; between two steps, others can write."""
ActAsOwner: TypeAlias = Callable[[Path], AbstractContextManager[None]]
"""Context in which root acts as the owner of a file: it must not open a file there by its name."""


def copy_database(source: Path, target: Path, as_owner: ActAsOwner) -> None:
    """Copy the data of one moment to the new file `target`, and check that it is whole.

    Raises `StartError`, and `OSError` if there is no `source`.
    """
    check_store_file(source)
    source.stat()
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    try:
        with as_owner(source.absolute()):
            origin = _open(source, "rw")
            origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        try:
            with closing(_open(target, "rw")) as copy:
                origin.backup(copy, pages=PAGES)
                copy.execute("PRAGMA journal_mode = DELETE")  # so that it needs no second file
        finally:
            with as_owner(source.absolute()):
                origin.close()
        insist_on_whole(target)
    except sqlite3.Error as error:
        raise StartError(f"cannot copy {source}: {error}") from None


def put_back(saved: Path, target: Path, mode: int, as_owner: ActAsOwner) -> None:
    """Replace the data in the file `target` by those of a copy, in one transaction.

    It is made if it is missing. Raises `StartError`.
    """
    insist_on_whole(saved)
    try:
        with closing(_open(saved, "ro")) as source:
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            make_store_file(target, mode)
            with as_owner(target.absolute()), closing(_open(target, "rw")) as place:
                source.backup(place)
    except (sqlite3.Error, OSError) as error:
        raise StartError(f"cannot restore {target}: {error}") from None


def insist_on_whole(path: Path) -> None:
    """Raise `StartError` if a file is not an SQLite database, or is damaged."""
    try:
        with closing(_open(path, "ro")) as database:
            (told,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise StartError(f"{path} is damaged: {error}") from None
    if told != "ok":
        raise StartError(f"{path} is damaged: {told}")


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=WAIT,
        isolation_level=None,
    )
