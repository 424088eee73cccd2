"""Maker of a snapshot: its records from one transaction, compressed as they come."""

from __future__ import annotations

import hashlib
import zlib
from typing import NamedTuple

from sqlalchemy import Connection

from accounts.snapshots.contents import Content, SnapshotInputs
from accounts.snapshots.history import History, read_history
from accounts.snapshots.senders import SnapshotRecord
from gatepost.snapshots.form import MAX_SIZE, SnapshotError, first_line, last_line, record

_PART = 1 << 16
"""Octets that are compressed at a time."""


class MadeSnapshot(NamedTuple):
    """A snapshot, compressed with gzip to about a tenth, in parts.

    `until` is when its records change by themselves, in seconds since the epoch.
    """

    name: str
    history: History
    tag: str
    records: int
    size: int
    packed: tuple[bytes, ...]
    until: int | None


def make(
    connection: Connection, name: str, content: Content, inputs: SnapshotInputs
) -> MadeSnapshot:
    """Make a snapshot of the state of the data that the connection reads.

    Raises `SnapshotError` if it is too large.
    """
    history = read_history(connection)
    hashed, pack = hashlib.sha256(), zlib.compressobj(1, zlib.DEFLATED, 31)
    parts: list[bytes] = []
    buffer = bytearray(first_line(name))
    count = size = 0

    def flush() -> None:
        nonlocal size
        size += len(buffer)
        if size > MAX_SIZE:
            raise SnapshotError(f"{name} has more than {MAX_SIZE} octets")
        hashed.update(buffer)
        if packed := pack.compress(buffer):
            parts.append(packed)
        buffer.clear()

    for line in content.records(connection, inputs):
        buffer += _encoded(line)
        count += 1
        if len(buffer) >= _PART:
            flush()
    flush()
    seal, tag = last_line(history.generation, history.lineage, count, hashed)
    parts.append(pack.compress(seal) + pack.flush())
    until = content.expiry(connection, inputs.terms.now)
    return MadeSnapshot(name, history, tag, count, size + len(seal), tuple(parts), until)


def _encoded(line: SnapshotRecord) -> bytes:
    return record(*line)
