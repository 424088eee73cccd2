"""Batches of updates: updates that arrive during a batch form the next one.

A store that fetches its entries from elsewhere (a file, a server) does so once per batch. The
updates of a batch run one after another on the entries read for all of them, so each sees the
changes of those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from policyd.stores import Change, StoreEntry


class Job(NamedTuple):
    """A waiting update; `future` is the object that the store resolves with the result."""

    keys: Sequence[str]
    change: Change[Any]
    future: Any


class Done(NamedTuple):
    """A completed update: its result, and the changed entries with their previous values."""

    job: Job
    result: Any
    error: Exception | None
    writes: list[tuple[str, StoreEntry | None, StoreEntry | None]]


def run(jobs: Sequence[Job], known: dict[str, StoreEntry | None], now: float) -> list[Done]:
    """Run the changes of a batch in order on `known`, which they modify.

    A change that raises affects only its own update.
    """
    done: list[Done] = []
    for job in jobs:
        before: list[StoreEntry | None] = []
        for key in job.keys:
            entry = known.get(key)
            before.append(entry if entry is not None and entry.expires > now else None)
        try:
            after, result = job.change(before)
            writes = [
                (key, known.get(key), new)
                for key, old, new in zip(job.keys, before, after, strict=True)
                if new is not old
            ]
        except Exception as error:  # passed to the caller of the update
            done.append(Done(job, None, error, []))
            continue
        known.update({key: new for key, _, new in writes})
        done.append(Done(job, result, None, writes))
    return done
