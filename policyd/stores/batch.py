"""Many updates as one: what comes in while a batch is under way makes the next batch.

A store that has to go somewhere for its entries (a file, a server) pays for the way once a batch.
The updates of a batch run one after another on the entries that were read for all of them, so each
sees what those before it have done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from policyd.stores import Change, Entry


class Job(NamedTuple):
    """One update that waits; `future` is whatever the store resolves with its result."""

    keys: Sequence[str]
    change: Change[Any]
    future: Any


class Done(NamedTuple):
    """One update that ran: its result, and the entries it changed with what they were before."""

    job: Job
    result: Any
    error: Exception | None
    writes: list[tuple[str, Entry | None, Entry | None]]


def run(jobs: Sequence[Job], known: dict[str, Entry | None], now: float) -> list[Done]:
    """Run the changes of a batch in order on `known`, which is changed as they go.

    A change that raises spoils nothing but its own update.
    """
    done: list[Done] = []
    for job in jobs:
        before: list[Entry | None] = []
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
        except Exception as error:  # handed to the one who asked for the update
            done.append(Done(job, None, error, []))
            continue
        known.update({key: new for key, _, new in writes})
        done.append(Done(job, result, None, writes))
    return done
