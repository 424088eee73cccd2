"""Migrations of the datastore, up to the revision of the code or down to an earlier one.

A migration is one transaction: it is done completely or not at all. If several processes start one
at the same time, the first does it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from accounts.store.errors import DatastoreError, DatastoreUnavailable
from accounts.store.failures import translate
from accounts.store.file import check_file
from accounts.store.revisions import REVISIONS, check_revision, read_revision
from accounts.store.settings import DatabaseSettings
from accounts.store.sqlite import make_engine, to_write
from gatepost.errors import StartError
from gatepost.store_file import make_store_file

T = TypeVar("T")

FILE_MODE = 0o600
"""Mode of a new file, which has the hashes of passwords."""
NOTHING = "base"
"""Alembic's name for the revision before the first: no tables at all."""
_LOCK = 0x6761_7465_706F_7374
"""The number of the advisory lock in PostgreSQL: "gatepost"."""


def upgrade(settings: DatabaseSettings) -> tuple[str | None, str]:
    """Bring the data to the revision of the code; create the tables if there are none.

    Returns the revision before and after. A new file of SQLite is closed to other users; if root
    creates it, it belongs to the owner of its folder. Raises `StartError`.
    """
    if settings.path is not None:
        try:
            make_store_file(settings.path, FILE_MODE)
        except OSError as error:
            raise StartError(
                f"cannot create the datastore {settings.path}: {error.strerror}"
            ) from None

    def work(connection: Connection) -> tuple[str | None, str]:
        before = read_revision(connection)
        _insist_on_known(before)
        _go_to(connection, REVISIONS[-1], up=True)
        return before, REVISIONS[-1]

    return _run(settings, work)


def downgrade(settings: DatabaseSettings, revision: str) -> tuple[str | None, str]:
    """Bring the data to an earlier revision, for an earlier version of the code.

    Data that the revision has no place for are lost; `NOTHING` removes all. Returns the revision
    before and after. Raises `StartError`.
    """
    if revision not in (*REVISIONS, NOTHING):
        raise StartError(
            f"there is no revision {revision!r}: write {', '.join((NOTHING, *REVISIONS))}"
        )

    def work(connection: Connection) -> tuple[str | None, str]:
        before = read_revision(connection)
        _insist_on_known(before)
        _go_to(connection, revision, up=False)
        return before, revision

    return _run(settings, work)


def current(settings: DatabaseSettings) -> str | None:
    """Return the revision of the data, None if there are none; raises `StartError`."""
    return _run(settings, read_revision)


def check(settings: DatabaseSettings) -> None:
    """Raise `StartError` unless there are data of the revision of the code."""
    _run(settings, check_revision)


def _insist_on_known(revision: str | None) -> None:
    if revision is not None and revision not in REVISIONS:
        raise StartError(
            f"the data were written by a later version of Gatepost (revision {revision[:40]!r}): "
            "only that version can change them"
        )


def _go_to(connection: Connection, revision: str, *, up: bool) -> None:
    # Alembic takes as long to load as all of SQLAlchemy, and only a migration needs it
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        (command.upgrade if up else command.downgrade)(config, revision)
    except CommandError as error:
        raise DatastoreError(str(error)) from None


def _run(settings: DatabaseSettings, work: Callable[[Connection], T]) -> T:
    try:
        if settings.path is not None:
            return _run_in_file(settings.path, settings.timeout, work)
        return _run_on_server(settings, work)
    except DatastoreUnavailable as error:
        raise StartError(f"cannot open the datastore: {error}") from None
    except DatastoreError as error:
        raise StartError(f"cannot migrate the datastore: {error}") from None


def _run_in_file(path: Path, timeout: float, work: Callable[[Connection], T]) -> T:
    check_file(path)
    # https://www.sqlite.org/lang_altertable.html#otheralter: off, and checked before the commit
    engine = make_engine(path, timeout, foreign_keys=False)
    try:
        with to_write(engine).begin() as connection:
            result = work(connection)
            if row := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise DatastoreUnavailable(f"{path}: a row of {row[0]} belongs to nothing")
            return result
    except SQLAlchemyError as error:
        raise translate(error, str(path)) from error
    finally:
        engine.dispose()


def _run_on_server(settings: DatabaseSettings, work: Callable[[Connection], T]) -> T:
    from accounts.store.postgres import alone  # only this database needs the driver

    def locked(connection: Connection) -> T:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        return work(connection)

    return alone(settings, locked)
