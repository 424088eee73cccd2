"""File of a datastore in SQLite, without SQLAlchemy, which takes memory."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from urllib.parse import quote

from accounts.store.errors import DatastoreUnavailable
from gatepost.errors import StartError
from gatepost.store_file import check_store_file, is_writable

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process holds the write lock for too long",
    sqlite3.SQLITE_READONLY: "the file cannot be written to",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is not a database: restore a backup",
}


class OpenedFile:
    """The file that `path` named at the start; raises `StartError` if it cannot be used."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        self.path = path
        self._inode = path.stat().st_ino

    def insist(self) -> None:
        """Raise `DatastoreUnavailable` if the path now names another file, or none.

        Writes to the open file would be lost. Opening the other one is not safe: SQLite finds a WAL
        only by its name, and would apply the WAL of the old file to the new one.
        """
        try:
            inode = self.path.stat().st_ino
        except OSError as error:
            raise DatastoreUnavailable(f"{self.path}: {error.strerror}") from None
        if inode != self._inode:
            raise DatastoreUnavailable(
                f"{self.path}: it was replaced by another file: stop the service, remove its -wal "
                "and -shm files, and start the service again"
            )


def connect(path: Path, timeout: float, *, foreign_keys: bool = True) -> sqlite3.Connection:
    """Open the file, which is never created; one thread at a time may use the connection.

    `timeout`: seconds to wait while another process writes.
    """
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=timeout,
        isolation_level=None,  # transactions begin explicitly
        check_same_thread=False,
    )
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a committed write survives a power cut
            f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
            "trusted_schema = OFF",
        ):
            db.execute(f"PRAGMA {pragma}")
    except BaseException:
        db.close()
        raise
    return db


def advice(error: BaseException) -> str | None:
    """Return the meaning of an error of SQLite for an administrator; None if it is not known."""
    code = getattr(error, "sqlite_errorcode", None)
    return _ADVICE.get(code & 0xFF) if isinstance(code, int) else None


def explain(error: BaseException) -> str:
    """Return the meaning of an error, or the first line of its message; others may have values."""
    return advice(error) or (str(error).strip() or type(error).__name__).splitlines()[0]


def check_file(path: Path) -> None:
    """Raise `StartError` unless the file exists, is writable, and is closed to other users."""
    try:
        check_store_file(path)
        status = path.stat()
    except FileNotFoundError:
        raise StartError(
            f"there is no datastore {path}: `gatepost accounts migrate` creates it"
        ) from None
    except OSError as error:
        raise StartError(f"cannot open the datastore {path}: {error.strerror}") from None
    if status.st_mode & stat.S_IRWXO:
        raise StartError(
            f"the datastore {path} is open to everybody (mode {stat.S_IMODE(status.st_mode):04o}): "
            f"chmod o-rwx {path}"
        )
    if not is_writable(path) or not os.access(path.parent, os.W_OK | os.X_OK):
        raise StartError(
            f"the datastore {path} belongs to uid {status.st_uid}, and uid {os.geteuid()} may not "
            "write to it"
        )
