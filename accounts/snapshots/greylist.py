"""Snapshot `greylist`: the exceptions by number; `gatepost.snapshots.greylist` reads it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from accounts.directory import greylist_exceptions
from accounts.directory.greylist_exceptions import MAX_EXCEPTIONS, GreylistException
from accounts.directory.paging import MAX_PAGE
from accounts.snapshots.senders import SnapshotRecord


def exception_records(connection: Connection) -> Iterator[SnapshotRecord]:
    """Yield the records in the order of their keys."""
    after: int | None = None
    found: list[GreylistException] = []
    while len(found) < 2 * MAX_EXCEPTIONS:
        page = greylist_exceptions.find(connection, after=after, limit=MAX_PAGE)
        found += page
        if len(page) < MAX_PAGE:
            break
        after = page[-1].id
    for one in sorted(found, key=lambda one: f"{one.id:019}"):
        yield (
            f"exception:{one.id:019}",
            {"kind": one.kind, "pattern": one.pattern, "domain": one.domain},
        )
