"""Snapshot `stores`: ``name:ADDRESS`` with the mail store of each mailbox that has one."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from accounts.snapshots.rows import pages
from accounts.snapshots.senders import SnapshotRecord
from accounts.store import schema

_BOX = schema.mailbox


def store_records(connection: Connection) -> Iterator[SnapshotRecord]:
    """Yield the records in the order of their keys."""
    statement = select(_BOX.c.address, _BOX.c.store).where(_BOX.c.store.is_not(None))
    for page in pages(connection, statement, _BOX.c.address):
        for address, store in page:
            yield f"name:{address}", store
