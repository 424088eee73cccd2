"""Placement of new mailboxes: the store that each goes to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select

from accounts.store import schema
from accounts.store.errors import Invalid
from accounts.store.transaction import Write


def choose(write: Write) -> str | None:
    """Return the store for one more mailbox, and count it there; None if stores have no names.

    Raises `Invalid` if no store takes new mailboxes.

    It is the one with the fewest mailboxes of those that take new ones, so a new store is filled
    first; of several with as few, the first by name. A transaction counts once, and then adds what
    it places itself, so an import of a million mailboxes does not count a million times.
    """
    if write.stores is None:
        return None
    names = write.stores.taking_new
    if not names:
        raise Invalid("store", "No mail store takes new mailboxes: name one.")
    if write.placed is None:
        write.placed = _count(write, names)
    chosen = min(names, key=lambda name: (write.placed_in(name), name))
    write.placed[chosen] = write.placed_in(chosen) + 1
    return chosen


def insist_on_known(write: Write, store: str) -> None:
    """Raise `Invalid` if stores have names, and none has this one."""
    if write.stores is not None and store not in write.stores.known:
        known = ", ".join(write.stores.known)
        raise Invalid("store", f"There is no mail store {store}; known are: {known}.")


def _count(write: Write, names: Sequence[str]) -> dict[str, int]:
    stores = schema.mailbox.c.store
    # one count for each store, which reads only the index
    counts = {name: _count_of(write, stores == name) for name in names}
    default = write.stores.default if write.stores is not None else ""
    if default in counts:  # its mailboxes from the time when it was the only one name no store
        counts[default] += _count_of(write, stores.is_(None))
    return counts


def _count_of(write: Write, which: ColumnElement[bool]) -> int:
    statement = select(func.count()).select_from(schema.mailbox).where(which)
    return int(write.connection.scalar(statement) or 0)
