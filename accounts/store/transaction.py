"""Write transactions: changes, their entries in the audit log, and the generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Text, cast, func, insert, select, update

from accounts.store import schema
from accounts.store.errors import RefusalError
from accounts.store.noted import clean
from accounts.store_names import StoreNames

T = TypeVar("T")

IS_REFUSAL = cast(schema.audit.c.details, Text).startswith('{"refused"')
"""Condition for an entry of the audit log that is about a refusal. A transaction of its own writes
it, so it may have a higher id than a change that is committed after it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change: a login or a name such as `command:root`, and the client's
    address."""

    name: str
    client: str | None = None


class Write:
    """A transaction in progress. It ends with the function that received it.

    `stores` is None if mail stores have no names.
    """

    def __init__(
        self, connection: Connection, actor: Actor, now: int, stores: StoreNames | None = None
    ) -> None:
        self.stores = stores
        self.placed: dict[str, int] | None = None
        """Mailboxes in each of the stores that take new ones, once they were counted."""
        self.connection = connection
        self.actor = actor
        self.now = now
        """Seconds since the epoch: the time of everything in this transaction."""
        self._entries: list[dict[str, Any]] = []

    def placed_in(self, store: str) -> int:
        """Return the number of mailboxes in a store, as far as they were counted."""
        return (self.placed or {}).get(store, 0)

    def audit(self, action: str, subject: str, **details: Any) -> None:
        """Enter a change, such as `mailbox.add`, in the audit log; `details` never has a secret."""
        self._entries.append(_entry(self.actor, self.now, action, subject, details))

    @contextmanager
    def attempt(self, action: str, subject: object) -> Iterator[None]:
        """Run a block completely or not at all, independently of the rest of the transaction.

        If it is refused, the entry about the refusal names `action` and `subject`.
        """
        before = len(self._entries)
        try:
            with self.connection.begin_nested():
                yield
        except RefusalError as error:
            del self._entries[before:]
            error.action = error.action or action
            error.subject = error.subject or str(subject)
            raise

    def finish(self) -> int | None:
        """Write the entries and raise the generation; return None if there are no entries."""
        if not self._entries:
            return None
        self.connection.execute(insert(schema.audit), self._entries)
        raised = update(schema.state).values(generation=schema.state.c.generation + 1)
        generation = int(
            self.connection.execute(raised.returning(schema.state.c.generation)).scalar_one()
        )
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(select(func.pg_notify(schema.CHANNEL, str(generation))))
        return generation


def begin(connection: Connection) -> None:
    """Take the write lock: from here on, no other transaction can write.

    SQLite has BEGIN IMMEDIATE for this. In PostgreSQL the row of the generation is the lock. Thus
    everything that a transaction checks before it writes still holds when it commits.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(schema.state.c.generation).with_for_update())


def perform(
    connection: Connection,
    actor: Actor,
    now: int,
    work: Callable[[Write], T],
    stores: StoreNames | None = None,
) -> tuple[T, int | None]:
    """Run `work` in the transaction of `connection`; return its result and the new generation."""
    begin(connection)
    write = Write(connection, actor, now, stores)
    result = work(write)
    return result, write.finish()


def note_refusal(connection: Connection, actor: Actor, now: int, error: RefusalError) -> None:
    """Enter in the audit log that something was refused; the generation stays."""
    details = {"refused": clean(str(error))}
    subject = clean(error.subject)
    entry = _entry(actor, now, error.action or "write", subject, details)
    connection.execute(insert(schema.audit), [entry])


def _entry(
    actor: Actor, now: int, action: str, subject: str, details: dict[str, Any]
) -> dict[str, Any]:
    return {
        "at": now,
        "actor": clean(actor.name),
        "client": None if actor.client is None else clean(actor.client),
        "action": action,
        "object": subject,
        "details": details,
    }
