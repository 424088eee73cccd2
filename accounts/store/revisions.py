"""Revisions of the tables that this code knows, without Alembic, which only migrations need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.errors import StartError

if TYPE_CHECKING:
    from sqlalchemy import Connection

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""From the first to the current one; each has a file in `migrations/versions/`."""

VERSION_TABLE = "alembic_version"

_UPGRADE = "run `gatepost accounts migrate`"


def read_revision(connection: Connection) -> str | None:
    """Return the revision of the data; None if there are none."""
    # imported here, because a service that uses plain SQL does not need it
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return None if found is None else str(found)


def check_revision(connection: Connection) -> None:
    """Raise `StartError` unless the data have the revision of the code."""
    insist_on_revision(read_revision(connection))


def insist_on_revision(found: str | None) -> None:
    """Raise `StartError` unless `found`, the revision of some data, is that of the code."""
    if found == REVISIONS[-1]:
        return
    if found is None:
        raise StartError(f"the database has no data of Gatepost yet: {_UPGRADE}")
    if found in REVISIONS:
        raise StartError(
            f"the data are of an earlier version of Gatepost (revision {found}, and this one needs "
            f"{REVISIONS[-1]}): make a backup, then {_UPGRADE}"
        )
    raise StartError(
        f"the data were written by a later version of Gatepost (revision {found[:40]!r}, and this "
        f"one knows {REVISIONS[-1]}): install that version"
    )
