"""Changes in the audit log, by all processes and commands, in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from accounts.store import schema
from accounts.store.database import Database
from accounts.store.transaction import IS_REFUSAL
from accounts.traces.trace import RESTORED

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


class _Mark(NamedTuple):
    """How far the log was read: the id, and what the entry with that id is, if there is one.

    The id alone does not tell a backup: its entries go on from an earlier id, and may have reached
    this one before anybody looks.
    """

    id: int
    entry: tuple[Any, ...] | None


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
        self._mark: _Mark | None = None

    async def read(self) -> Read:
        """Return the next changes, at most `AT_ONCE`; raises `DatastoreUnavailable`."""
        mark = self._mark
        if mark is None:
            since = int(self._clock() - self._replay) if self._replay else None
            mark = await self._database.read(lambda connection: _begin(connection, since))
        self._mark, changes = await self._database.read(
            lambda connection: _follow(connection, mark, self._actions)
        )
        return Read((), rewound=True) if changes is None else Read(changes)


def _begin(connection: Connection, since: int | None) -> _Mark:
    """Return the mark after which to read."""
    if since is not None:
        first = connection.scalar(
            select(func.min(_TABLE.c.id)).where(_TABLE.c.at >= since, ~IS_REFUSAL)
        )
        if first is not None:
            return _mark(connection, int(first) - 1)
    return _end(connection)


def _end(connection: Connection) -> _Mark:
    last = connection.scalar(select(func.max(_TABLE.c.id)).where(~IS_REFUSAL))
    return _mark(connection, int(last or 0))


def _mark(connection: Connection, id_: int) -> _Mark:
    row = connection.execute(
        select(_TABLE.c.at, _TABLE.c.actor, _TABLE.c.action, _TABLE.c.object).where(
            _TABLE.c.id == id_
        )
    ).one_or_none()
    return _Mark(id_, None if row is None else tuple(row))


def _follow(
    connection: Connection, mark: _Mark, actions: Sequence[str]
) -> tuple[_Mark, list[TrailEntry] | None]:
    """Return the next mark and the changes before it, None when a backup was restored."""
    if _mark(connection, mark.id) == mark:
        changes = _changes(connection, mark.id, (*actions, RESTORED))
        if all(change.action != RESTORED for change in changes):
            return (_mark(connection, changes[-1].id) if changes else mark), changes
    return _end(connection), None


def _changes(connection: Connection, after: int, actions: Sequence[str]) -> list[TrailEntry]:
    statement = (
        select(_TABLE.c.id, _TABLE.c.at, _TABLE.c.action, _TABLE.c.object, _TABLE.c.details)
        .where(_TABLE.c.id > after, _TABLE.c.action.in_(actions), ~IS_REFUSAL)
        .order_by(_TABLE.c.id)
        .limit(AT_ONCE)
    )
    return [TrailEntry(*row) for row in connection.execute(statement)]
