"""The errors of databases and their drivers, as errors of the datastore."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from accounts.store.errors import AlreadyThere, Invalid, StoreError, Unavailable

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another process has been writing for too long",
    sqlite3.SQLITE_READONLY: "the file cannot be written to",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is no database: restore a backup",
}

_AGAIN = frozenset({"40001", "40P01"})
"""SQLSTATE of a transaction that may be tried again: serialization_failure, deadlock_detected."""


def may_try_again(error: Exception) -> bool:
    """Return whether a transaction failed only because of others at the same time."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _AGAIN


def translate(error: Exception, where: str) -> StoreError:
    """Return the error of the datastore for one of SQLAlchemy, a driver or the system.

    `where` names the database. The checks before a write leave nothing for a constraint to refuse;
    should one do so, it is the caller's value that is refused. All else is `Unavailable`: a
    database that cannot be asked has not said "unknown".
    """
    original = getattr(error, "orig", None) or error
    if isinstance(error, IntegrityError):
        if "unique" in str(original).lower():
            return AlreadyThere("There is such an object already.")
        return Invalid("", f"The database refuses it: {_line(original)}.")
    if isinstance(error, DataError):
        return Invalid("", f"The database refuses a value: {_line(original)}.")
    code = getattr(original, "sqlite_errorcode", None)
    advice = _ADVICE.get(code & 0xFF) if isinstance(code, int) else None
    if isinstance(original, TimeoutError | PoolTimeoutError):
        advice = "it does not answer"
    return Unavailable(f"{where}: {advice or _line(original)}")


def _line(error: BaseException) -> str:
    """Return the first line of a message: the next ones may have the values."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
