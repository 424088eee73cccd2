"""Changes in the audit log, by all processes and commands, in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Text, cast, func, select

from accounts.snapshots.history import read_history
from accounts.store import schema
from accounts.store.database import Database

AT_ONCE: Final = 1000
"""Maximum number of entries of the audit log that are read at once."""

_TABLE: Final = schema.audit


class TrailEntry(NamedTuple):
    """A change in the audit log; `at` is in seconds since the epoch."""

    id: int
    at: int
    action: str
    object: str
    details: dict[str, Any]


class Read(NamedTuple):
    """New changes. `rewound`: the log is another one, because a backup was restored."""

    changes: Sequence[TrailEntry]
    rewound: bool = False


class Trail:
    """Reader of the changes by some actions, each once.

    It begins with the changes of the last `replay` seconds; with 0, it begins with the next change.
    Changes are written one after another (`accounts.store.transaction.begin`), so that none can
    come later with a lower id. Refusals have no such order, and are left out.
    """

    def __init__(
        self,
        database: Database,
        actions: Sequence[str],
        *,
        replay: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._actions = tuple(actions)
        self._replay = replay
        self._clock = clock
        self._last: int | None = None
        self._lineage = ""

    async def read(self) -> Read:
        """Return the next changes, at most `AT_ONCE`; raises `DatastoreUnavailable`."""
        last = self._last
        if last is None:
            since = int(self._clock() - self._replay) if self._replay else None
            last = await self._database.read(lambda connection: _begin(connection, since))
        lineage, end, changes = await self._database.read(
            lambda connection: _changes(connection, last, self._actions)
        )
        known, self._lineage = self._lineage, lineage
        if end < last or (known and lineage != known):
            self._last = end
            return Read((), rewound=True)
        self._last = changes[-1].id if changes else last
        return Read(changes)


def _begin(connection: Connection, since: int | None) -> int:
    """Return the id of the last entry that is not to be read."""
    if since is not None:
        first = connection.scalar(select(func.min(_TABLE.c.id)).where(_TABLE.c.at >= since))
        if first is not None:
            return int(first) - 1
    return _end(connection)


def _end(connection: Connection) -> int:
    return int(connection.scalar(select(func.max(_TABLE.c.id))) or 0)


def _changes(
    connection: Connection, after: int, actions: Sequence[str]
) -> tuple[str, int, list[TrailEntry]]:
    is_refusal = cast(_TABLE.c.details, Text).startswith('{"refused"')
    statement = (
        select(_TABLE.c.id, _TABLE.c.at, _TABLE.c.action, _TABLE.c.object, _TABLE.c.details)
        .where(_TABLE.c.id > after, _TABLE.c.action.in_(actions), ~is_refusal)
        .order_by(_TABLE.c.id)
        .limit(AT_ONCE)
    )
    lineage = read_history(connection).lineage
    return lineage, _end(connection), [TrailEntry(*row) for row in connection.execute(statement)]
