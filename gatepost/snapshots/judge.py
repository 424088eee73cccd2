"""The decision about a snapshot that accounts has sent: whether it takes the place of another.

An older generation is what a server sends that lags behind, or whose database was restored. Only
the second is to be followed. A restore by `gatepost accounts restore` begins another lineage, which
is followed at once. One made by other means does not: then the older generation is followed when
nothing else has come for `PATIENCE`. Both are told to the administrator.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

PATIENCE = 300.0
"""Seconds for which an older generation of the same lineage is refused: a replica catches up in
less."""


class SnapshotVerdict(enum.Enum):
    """What to do with a snapshot that has arrived."""

    NEWER = "newer"
    """Take it."""
    REPLACED = "replaced"
    """Take it, and say that the data of accounts were replaced by others."""
    RETURNED = "returned"
    """Take it, and say that accounts stays at an older generation."""
    OLDER = "older"
    """Refuse it for now."""


class HeldSnapshot(NamedTuple):
    """The snapshot that is in use: its generation or a later one that was seen to change nothing.

    `older_since` is when an older one was seen first, with nothing newer after it.
    """

    generation: int
    lineage: str
    older_since: float | None = None


def judge(
    held: HeldSnapshot | None, generation: int, lineage: str, now: float
) -> tuple[HeldSnapshot, SnapshotVerdict]:
    """Judge data of `generation` and `lineage`; returns what is held after it, and the verdict."""
    new = HeldSnapshot(generation, lineage)
    if held is None:
        return new, SnapshotVerdict.NEWER
    if lineage != held.lineage:
        # a database without any history yet is the same one before its first change
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
    """Return what is held after accounts has said that its content is current."""
    if lineage != held.lineage or generation < held.generation:
        # the content is the same, and the next one that differs is judged by what was seen before
        return held
    return HeldSnapshot(generation, lineage)
