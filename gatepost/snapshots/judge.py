"""Decision whether a snapshot from accounts replaces the one in use.

An older generation comes from a server that lags behind, or whose database was restored. Only the
second is used. `gatepost accounts restore` begins another lineage, which is used immediately. A
restore by other means does not: then the older generation is used if nothing else has come for
`PATIENCE`. Both are reported to the administrator.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

PATIENCE = 300.0
"""Seconds for which an older generation of the same lineage is refused: a replica catches up in
less."""


class SnapshotVerdict(enum.Enum):
    """Decision about a snapshot that has arrived."""

    NEWER = "newer"
    """Take it."""
    REPLACED = "replaced"
    """Take it, and report that the data of accounts were replaced."""
    RETURNED = "returned"
    """Take it, and report that accounts stays at an older generation."""
    OLDER = "older"
    """Refuse it for now."""


class HeldSnapshot(NamedTuple):
    """Snapshot in use, with its generation or a later one that changed nothing.

    `older_since` is the time when an older one was first seen, with nothing newer after it.
    """

    generation: int
    lineage: str
    older_since: float | None = None


def judge(
    held: HeldSnapshot | None, generation: int, lineage: str, now: float
) -> tuple[HeldSnapshot, SnapshotVerdict]:
    """Judge data of `generation` and `lineage`; return the new state and the verdict."""
    new = HeldSnapshot(generation, lineage)
    if held is None:
        return new, SnapshotVerdict.NEWER
    if lineage != held.lineage:
        # a database without history is the same one before its first change
        replaced = bool(held.lineage) or generation < held.generation
        return new, SnapshotVerdict.REPLACED if replaced else SnapshotVerdict.NEWER
    if generation >= held.generation:
        return new, SnapshotVerdict.NEWER
    if held.older_since is None:
        return held._replace(older_since=now), SnapshotVerdict.OLDER
    if now - held.older_since < PATIENCE:
        return held, SnapshotVerdict.OLDER
    return new, SnapshotVerdict.RETURNED


def confirm(held: HeldSnapshot, generation: int, lineage: str) -> HeldSnapshot:
    """Return the state after accounts has confirmed that the content is current."""
    if lineage != held.lineage or generation < held.generation:
        # the content is the same; the next different one is judged by the earlier state
        return held
    return HeldSnapshot(generation, lineage)
