"""Translation of the errors of databases and drivers to errors of the datastore."""

from __future__ import annotations

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from accounts.store.errors import AlreadyThere, DatastoreError, DatastoreUnavailable, Invalid
from accounts.store.file import explain

_AGAIN = frozenset({"40001", "40P01"})
"""SQLSTATEs of transactions that may be tried again: serialization_failure, deadlock_detected."""


def may_try_again(error: Exception) -> bool:
    """Return whether a transaction failed only because of concurrent ones."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _AGAIN


def translate(error: Exception, where: str) -> DatastoreError:
    """Return the error of the datastore for an error of SQLAlchemy, a driver or the system.

    `where` names the database. Values are checked before a write; if a constraint still refuses
    one, the caller's value is invalid. Everything else is `DatastoreUnavailable`: a failing
    database has not said "unknown".
    """
    original = getattr(error, "orig", None) or error
    if isinstance(error, IntegrityError):
        if "unique" in str(original).lower():
            return AlreadyThere("The object exists already.")
        return Invalid("", f"The database refuses it: {explain(original)}.")
    if isinstance(error, DataError):
        return Invalid("", f"The database refuses a value: {explain(original)}.")
    if isinstance(original, TimeoutError | PoolTimeoutError):
        return DatastoreUnavailable(f"{where}: it does not answer")
    return DatastoreUnavailable(f"{where}: {explain(original)}")
