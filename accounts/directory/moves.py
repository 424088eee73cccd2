"""Moves of mailboxes from one mail store to another: their state, which survives any kill.

A mailbox is usable in exactly one store, the one in its column `store`, at any time:

* ``copy``: its mail is copied while it is used.
* ``lock``: until `locked_until`, nobody opens it; what has changed is copied, then `switch` names
  the other store. If nobody does that in time, the lock ends by itself, and nothing has changed.
* ``settle``: it is used in the other store. What a delivery in progress may still have left in the
  earlier one is merged later, and the copy there is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, or_, select, update

from accounts.address import AccountAddress
from accounts.directory import mailboxes
from accounts.directory.paging import PAGE, page
from accounts.store import schema
from accounts.store.errors import Conflict, Invalid, NoSuchObject
from accounts.store.noted import clean
from accounts.store.transaction import Write

LEASE = 60
"""Seconds after which another process may go on with a move whose process says nothing."""
SKEW = 5
"""Seconds by which the clocks of the processes of accounts may differ."""
MAX_PAUSE = 900
"""Longest pause in seconds after failures; the first is 15, and each is twice the one before."""

_TABLE = schema.mailbox_move
_BOX = schema.mailbox


@dataclass(frozen=True, slots=True)
class Move:
    """A move. `due`: the time of its next step; `problem`: why the last one failed."""

    mailbox_id: int
    address: str
    home: str
    source: str
    target: str
    phase: str
    asked: int
    asked_by: str
    due: int
    failures: int
    problem: str


def ask(write: Write, address: str | AccountAddress, target: str, default: str) -> Move:
    """Begin to move a mailbox to the store `target`; the caller knows that there is one.

    `default` is the store of mailboxes without one. To ask for a move that is in progress changes
    nothing. Raises `NoSuchObject`, `Invalid` if it is there already, and `Conflict` if it is being
    moved to another store.
    """
    with write.attempt("mailbox.move", str(address)):
        box = mailboxes.get(write.connection, address)
        found = _find(write.connection, _TABLE.c.mailbox_id == box.id)
        source = box.store or default
        if found is not None and found.target == target:
            return found
        if found is not None:
            raise Conflict(f"{box.address} is being moved from {found.source} to {found.target}.")
        if source == target:
            raise Invalid("store", f"{box.address} is in {target} already.")
        write.connection.execute(
            insert(_TABLE).values(
                mailbox_id=box.id,
                source=source,
                target=target,
                phase="copy",
                asked=write.now,
                asked_by=clean(write.actor.name),
                due=write.now,
            )
        )
        write.audit("mailbox.move", box.address, source=source, target=target)
        return get(write.connection, address)


def get(connection: Connection, address: str | AccountAddress) -> Move:
    """Return the move of a mailbox; raises `NoSuchObject`."""
    box = mailboxes.get(connection, address)
    found = _find(connection, _TABLE.c.mailbox_id == box.id)
    if found is None:
        raise NoSuchObject(f"{box.address} is not being moved.")
    return found


def find(connection: Connection, *, after: str | None = None, limit: int = PAGE) -> list[Move]:
    """Return the moves of mailboxes after the address `after`."""
    rows = connection.execute(page(_select(), _BOX.c.address, after, limit))
    return [Move(**row._asdict()) for row in rows]


def failing(connection: Connection, addresses: Sequence[str]) -> frozenset[str]:
    """Return those of some mailboxes that are being moved, and whose last step failed."""
    statement = select(_BOX.c.address).join_from(_TABLE, _BOX)
    which = (_BOX.c.address.in_(addresses), _TABLE.c.failures > 0)
    return frozenset(connection.scalars(statement.where(*which)))


def is_between(connection: Connection, address: str, store: str) -> bool:
    """Return whether a mailbox is being moved from a store or to it.

    Once it is used in the other store, only the merge opens it in the earlier one: a copy that was
    asked for before, and begins late, would remove what the other store has got since.
    """
    columns = (_TABLE.c.source, _TABLE.c.target, _TABLE.c.phase, _TABLE.c.holder)
    statement = select(*columns).join_from(_TABLE, _BOX).where(_BOX.c.address == address)
    found = connection.execute(statement).one_or_none()
    if found is None:
        return False
    is_over = found.phase == "settle" and found.holder is None
    return store == found.target or (store == found.source and not is_over)


def cancel(write: Write, address: str | AccountAddress) -> None:
    """End a move before the mailbox is used in the other store.

    Raises `NoSuchObject`, and `Invalid` if it is too late.
    """
    with write.attempt("mailbox.move-cancel", str(address)):
        found = get(write.connection, address)
        if found.phase == "settle":
            raise Invalid("address", f"{found.address} is in {found.target} already.")
        write.connection.execute(delete(_TABLE).where(_TABLE.c.mailbox_id == found.mailbox_id))
        _set_lock(write, found, None)
        write.audit("mailbox.move-cancel", found.address, store=found.source)


def end_all(write: Write) -> None:
    """End the moves of mailboxes that are in their earlier store by the data of a backup.

    Such a move may have come to its end since the backup, and a copy from the earlier store would
    remove the mail from the one where it is.
    """
    found = write.connection.execute(_select().where(_TABLE.c.phase != "settle")).all()
    for row in found:
        move = Move(**row._asdict())
        write.connection.execute(delete(_TABLE).where(_TABLE.c.mailbox_id == move.mailbox_id))
        _set_lock(write, move, None)
        write.audit("mailbox.move-cancel", move.address, store=move.source)


# the work


def claim(connection: Connection, holder: str, now: int) -> Move | None:
    """Take the move that is due for longest; None if there is none. For `Database.record`."""
    free = or_(_TABLE.c.holder.is_(None), _TABLE.c.claimed <= now - LEASE)
    which = (_TABLE.c.due <= now, free)
    statement = select(_TABLE.c.mailbox_id).where(*which).order_by(_TABLE.c.due).limit(1)
    found = connection.scalar(statement)
    if found is None:
        return None
    # with the conditions, because another process may have been faster
    mine = update(_TABLE).where(_TABLE.c.mailbox_id == found, *which)
    done = connection.execute(mine.values(holder=holder, claimed=now))
    return _find(connection, _TABLE.c.mailbox_id == found) if done.rowcount else None


def renew(connection: Connection, move: Move, holder: str, now: int) -> bool:
    """Say that a process is still at work; False if the move is not its own any more."""
    done = connection.execute(update(_TABLE).where(*_own(move, holder)).values(claimed=now))
    return bool(done.rowcount)


def lock(write: Write, move: Move, holder: str, seconds: int) -> None:
    """Lock a mailbox for its second pass; raises `Conflict` if another process has the move."""
    _step(write, move, holder, phase="lock")
    _set_lock(write, move, write.now + seconds)
    write.audit("mailbox.move-lock", move.address, seconds=seconds)


def switch(write: Write, move: Move, holder: str, settle: int) -> None:
    """Use a mailbox in its new store from now on, and end its lock.

    Raises `Conflict` if the lock has ended, or may have ended for a process whose clock is ahead:
    somebody may have changed the mailbox in its old store since.
    """
    until = write.connection.scalar(select(_BOX.c.locked_until).where(_BOX.c.id == move.mailbox_id))
    if until is None or until <= write.now + SKEW:
        raise Conflict("The lock has ended before everything was copied.")
    done: dict[str, Any] = {"phase": "settle", "failures": 0, "problem": "", "holder": None}
    _step(write, move, holder, due=write.now + settle, **done)
    write.connection.execute(
        update(_BOX)
        .where(_BOX.c.id == move.mailbox_id)
        .values(store=move.target, locked_until=None, version=_BOX.c.version + 1)
    )
    write.audit("mailbox.move-switch", move.address, source=move.source, target=move.target)


def fail(write: Write, move: Move, holder: str, problem: str) -> None:
    """Note a failed step, which is tried again, and end the lock; the mailbox stays where it is."""
    pause = min(MAX_PAUSE, 15 * 2 ** min(move.failures, 10))
    values: dict[str, Any] = {} if move.phase == "settle" else {"phase": "copy"}
    values |= {"due": write.now + pause, "failures": move.failures + 1, "holder": None}
    _step(write, move, holder, problem=clean(problem)[:500], **values)
    if move.phase != "settle":
        _set_lock(write, move, None)
    write.audit("mailbox.move-fail", move.address, problem=clean(problem)[:500])


def is_settled(connection: Connection, move: Move) -> bool:
    """Return whether the mailbox is used in the new store: its copy in the old one may go."""
    row = select(_BOX.c.store, _BOX.c.home).where(_BOX.c.id == move.mailbox_id)
    found = connection.execute(row).one_or_none()
    return found is not None and found.store == move.target and found.home == move.home


def finish(write: Write, move: Move, holder: str) -> None:
    """Forget a move whose copy in the old store is gone."""
    done = write.connection.execute(delete(_TABLE).where(*_own(move, holder)))
    if done.rowcount:
        write.audit("mailbox.move-end", move.address, source=move.source, target=move.target)


def _step(write: Write, move: Move, own: str, /, **values: Any) -> None:
    done = write.connection.execute(update(_TABLE).where(*_own(move, own)).values(**values))
    if not done.rowcount:
        raise Conflict("The move was ended, or another process goes on with it.")


def _own(move: Move, holder: str) -> tuple[ColumnElement[bool], ...]:
    return _TABLE.c.mailbox_id == move.mailbox_id, _TABLE.c.holder == holder


def _set_lock(write: Write, move: Move, until: int | None) -> None:
    changed = update(_BOX).where(_BOX.c.id == move.mailbox_id)
    write.connection.execute(changed.values(locked_until=until))


def _find(connection: Connection, which: ColumnElement[bool]) -> Move | None:
    row = connection.execute(_select().where(which)).one_or_none()
    return None if row is None else Move(**row._asdict())


def _select() -> Select[Any]:
    own = [_TABLE.c[name] for name in Move.__dataclass_fields__ if name not in ("address", "home")]
    return select(*own, _BOX.c.address, _BOX.c.home).join_from(_TABLE, _BOX)
