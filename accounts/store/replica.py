"""Backups of a datastore in SQLite, by its online backup, as one consistent file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from accounts.store.file import check_file
from accounts.store.migrate import FILE_MODE
from accounts.store.revisions import REVISIONS, VERSION_TABLE
from accounts.store.settings import DatabaseSettings
from gatepost.errors import StartError
from gatepost.store_file import make_store_file

AsOwner: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Context in which root acts as the owner of the datastore: root must not open a file there by its
name."""

ENDING = ".new"
"""Mode of the file while it is written."""


def copy_out(settings: DatabaseSettings, file: Path, as_owner: AsOwner) -> int:
    """Write the data to `file`, check the result and return its number of mailboxes.

    `file` is replaced at the end, or not at all. Raises `StartError`.
    """
    path = _path(settings)
    new = file.with_name(file.name + ENDING)
    try:
        with as_owner():
            check_file(path)
            source = _open(path, "rw", settings.timeout)
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        try:
            _make(new)
            with closing(_open(new, "rw", settings.timeout)) as target:
                source.backup(target, pages=1024)
                # so that it needs no second file
                target.execute("PRAGMA journal_mode = DELETE")
        finally:
            with as_owner():
                source.close()
        _revision, mailboxes = check(new)
        _sync(new)
        os.replace(new, file)
        _sync(file.parent)
    except (sqlite3.Error, OSError) as error:
        raise StartError(f"cannot write the backup {file}: {error}") from None
    finally:
        with suppress(OSError):
            new.unlink()
    return mailboxes


def copy_in(settings: DatabaseSettings, file: Path, as_owner: AsOwner) -> str:
    """Replace the data with those of `file`, in one transaction; return their revision.

    Raises `StartError` if the file is damaged or of a later version; nothing is changed then.
    """
    path = _path(settings)
    revision, _mailboxes = check(file)
    try:
        with closing(_open(file, "ro", settings.timeout)) as source:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            with as_owner():
                make_store_file(path, FILE_MODE)
                with closing(_open(path, "rw", settings.timeout)) as target:
                    source.backup(target)
                    target.execute("PRAGMA journal_mode = WAL")
                    _insist_on_whole(target, path)
    except (sqlite3.Error, OSError) as error:
        raise StartError(f"cannot restore {path}: {error}") from None
    return revision


def check(file: Path) -> tuple[str, int]:
    """Return the revision and the number of mailboxes of a backup; raises `StartError`."""
    try:
        with closing(_open(file, "ro", 10)) as db:
            _insist_on_whole(db, file)
            try:
                found = db.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
                (mailboxes,) = db.execute("SELECT count(*) FROM mailbox").fetchone()
            except sqlite3.OperationalError:
                found = None
    except sqlite3.Error as error:
        raise StartError(f"{file} is not a backup of a datastore: {error}") from None
    if found is None:
        raise StartError(f"{file} is no backup of a datastore")
    insist_on_known(file, str(found[0]))
    return str(found[0]), int(mailboxes)


def insist_on_known(file: Path, revision: str) -> None:
    """Raise `StartError` if a backup is of a later version."""
    if revision not in REVISIONS:
        raise StartError(
            f"{file} was written by a later version of Gatepost (revision {revision[:40]!r}): only "
            "that version can read it"
        )


def _insist_on_whole(db: sqlite3.Connection, file: Path) -> None:
    (told,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if told != "ok":
        raise StartError(f"{file} is damaged: {told}")
    if row := db.execute("PRAGMA foreign_key_check").fetchone():
        raise StartError(f"{file} is damaged: a row of {row[0]} belongs to nothing")


def _path(settings: DatabaseSettings) -> Path:
    path = settings.path
    if path is None:
        raise ValueError("not an SQLite file")
    return path


def _open(path: Path, mode: str, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
    )


def _make(new: Path) -> None:
    with suppress(FileNotFoundError):
        new.unlink()
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, FILE_MODE))


def _sync(path: Path) -> None:
    with _opened(path) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
