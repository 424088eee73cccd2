"""History of the data from the audit log: the changes since a moment.

Each transaction that raises the generation has its entries there, with ids that grow in the order
of the commits. Refusals have no such order, and are left out.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select, update

from accounts.store import schema
from accounts.store.generation import read_generation
from accounts.store.transaction import IS_REFUSAL, Write
from accounts.traces.trace import RESTORED

DATABASE = "database"
"""Its object."""
MANY = 2000
"""Changes of mailboxes that are examined one by one; if there are more, each is assumed to
count."""

_AUDIT = schema.audit
_WHOLE = (_AUDIT.c.id, _AUDIT.c.at, _AUDIT.c.actor, _AUDIT.c.action, _AUDIT.c.object)
_Entry = tuple[Any, ...]


class History(NamedTuple):
    """State of the data at one moment.

    `last` is the latest change in the audit log. `lineage` is a word that differs between
    databases, and in this one after a backup was restored. It is empty before the first change.
    """

    generation: int
    lineage: str
    last: _Entry | None


class Changes(NamedTuple):
    """Changes between two moments: the actions, and the fields of mailboxes that were changed.

    `actions` is None if all data were replaced.
    """

    actions: frozenset[str] | None
    mailbox_fields: frozenset[str] = frozenset()


def read_history(connection: Connection) -> History:
    """Return the state of the data that the connection reads."""
    first = connection.execute(_entries().order_by(_AUDIT.c.id).limit(1)).one_or_none()
    last = connection.execute(_entries().order_by(_AUDIT.c.id.desc()).limit(1)).one_or_none()
    restored = connection.execute(
        select(*_WHOLE, _AUDIT.c.details)
        .where(_AUDIT.c.object == DATABASE, _AUDIT.c.action == RESTORED)
        .order_by(_AUDIT.c.id.desc())
        .limit(1)
    ).one_or_none()
    lineage = ""
    if first is not None:
        told = repr((tuple(first), None if restored is None else tuple(restored)))
        lineage = hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return History(read_generation(connection), lineage, None if last is None else tuple(last))


def read_changes(connection: Connection, since: History) -> Changes:
    """Return the changes since then, which replaced all data if the history lacks that moment."""
    after = 0
    if since.last is not None:
        after = since.last[0]
        entry = connection.execute(_entries().where(_AUDIT.c.id == after)).one_or_none()
        if entry is None or tuple(entry) != since.last:
            return Changes(None)
    found = select(_AUDIT.c.action).where(_AUDIT.c.id > after, ~IS_REFUSAL).distinct()
    actions = frozenset(connection.execute(found).scalars())
    if RESTORED in actions:
        return Changes(None)
    return Changes(actions, _changed_fields(connection, after))


def note_restore(write: Write) -> None:
    """Enter in the audit log that a backup was restored: it begins a new lineage.

    The generation is one that no daemon has seen, also where the data were later than the backup:
    at least the time in seconds, which is far above the number of changes.
    """
    above = max(read_generation(write.connection), write.now)
    write.connection.execute(update(schema.state).values(generation=above))
    write.audit(RESTORED, DATABASE, mark=secrets.token_hex(8))


def _changed_fields(connection: Connection, after: int) -> frozenset[str]:
    details = (
        select(_AUDIT.c.details)
        .where(_AUDIT.c.id > after, _AUDIT.c.action == "mailbox.change", ~IS_REFUSAL)
        .limit(MANY + 1)
    )
    rows = connection.execute(details).scalars().all()
    if len(rows) > MANY:
        return frozenset({"*"})
    return frozenset(
        field for row in rows for field in (row if isinstance(row, dict) else {"*": None})
    )


def _entries() -> Select[Any]:
    return select(*_WHOLE).where(~IS_REFUSAL)
