"""Mailboxes that were removed, whose mail is kept for a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)

from accounts.directory import fields, loops, mailboxes, names
from accounts.directory.keeping import BELONGINGS, rows_of
from accounts.directory.mailboxes import Mailbox
from accounts.directory.paging import PAGE, having, page, within
from accounts.store import schema
from accounts.store.errors import Invalid, NoSuchObject
from accounts.store.transaction import Write

SETTLING = 60
"""Seconds for which mail stays in any case: a session or a delivery may still be at work."""
LEASE = 900
"""Seconds after which a removal of mail that was begun, and is not done, is begun again."""

_TABLE = schema.deleted_mailbox


@dataclass(frozen=True, slots=True)
class DeletedMailbox:
    """A mailbox that was removed, whose mail is still there.

    `octets` is the size of the mail, None if it is not known. `removed` is in seconds since the
    epoch. `is_due`: the mail goes as soon as possible. `claimed`: when its removal began, so that
    some of it may be gone.
    """

    id: int
    address: str
    display_name: str
    home: str
    store: str | None
    octets: int | None
    removed: int
    removed_by: str
    is_due: bool
    claimed: int | None

    def kept_until(self, keep: float) -> int:
        """Return the time from which the mail may go, if mail is kept for `keep` seconds."""
        return self.removed + max(SETTLING, 0 if self.is_due else int(keep))


def find(
    connection: Connection,
    *,
    address: str | None = None,
    text: str | None = None,
    after: int | None = None,
    limit: int = PAGE,
    administrator: int | None = None,
) -> list[DeletedMailbox]:
    """Return the mailboxes after the id `after`, the earliest first.

    `administrator`: only those in the domains of the administrator with this id. A domain that was
    removed belongs to nobody, also when there is a new one of its name.
    """
    statement = _select().where(
        *having(text, _TABLE.c.address, _TABLE.c.display_name),
        *within(administrator, _TABLE.c.domain_id),
    )
    if address is not None:
        named = str(fields.mailbox_address("address", address))
        statement = statement.where(_TABLE.c.address == named)
    rows = connection.execute(page(statement, _TABLE.c.id, after, limit))
    return [DeletedMailbox(**row._asdict()) for row in rows]


def get(connection: Connection, number: int) -> DeletedMailbox | None:
    """Return the mailbox with an id, or None."""
    row = connection.execute(_select().where(_TABLE.c.id == number)).one_or_none()
    return None if row is None else DeletedMailbox(**row._asdict())


def pick(
    connection: Connection,
    address: str,
    number: int | None = None,
    administrator: int | None = None,
) -> DeletedMailbox:
    """Return the mailbox of an address that was removed last, or the one with the id `number`.

    `administrator` as for `find`. Raises `NoSuchObject`.
    """
    named = str(fields.mailbox_address("address", address))
    which = [_TABLE.c.address == named, *within(administrator, _TABLE.c.domain_id)]
    if number is not None:
        which.append(_TABLE.c.id == fields.number("number", number))
    latest = _select().where(*which).order_by(_TABLE.c.id.desc()).limit(1)
    row = connection.execute(latest).one_or_none()
    if row is None:
        numbered = "" if number is None else f" with the number {number}"
        raise NoSuchObject(f"There is no deleted mailbox {named}{numbered}.")
    return DeletedMailbox(**row._asdict())


def restore(
    write: Write, address: str, number: int | None = None, administrator: int | None = None
) -> Mailbox:
    """Bring back a mailbox with its mail, its password and its belongings.

    Its API tokens, and aliases that were removed with its domain, do not come back. Raises
    `NoSuchObject` as `pick` does, `AlreadyThere` if the address is taken, and `Invalid` if the
    domain is gone or has no room, or if the removal of the mail has begun.
    """
    with write.attempt("mailbox.restore", address):
        found = pick(write.connection, address, number, administrator)
        # in one statement: `claim` of another process may come at any moment
        unclaimed = (_TABLE.c.id == found.id, _TABLE.c.claimed.is_(None))
        taken = write.connection.execute(
            delete(_TABLE).where(*unclaimed).returning(_TABLE.c.belongings)
        ).one_or_none()
        if taken is None:
            raise Invalid("address", f"The removal of the mail of {found.address} has begun.")
        belongings: dict[str, Any] = taken.belongings
        made = fields.mailbox_address("address", found.address)
        (own,) = rows_of(belongings, schema.mailbox)
        domain = mailboxes.insist_on_place(write.connection, made, own.get("quota"))
        names.take(write, made, "mailbox", domain)
        row = write.connection.execute(
            insert(schema.mailbox)
            .values(
                **own,
                domain_id=domain.id,
                address=found.address,
                home=found.home,
                changed=write.now,
            )
            .returning(schema.mailbox.c.id)
        ).scalar_one()
        for table in BELONGINGS:
            if rows := rows_of(belongings, table):
                write.connection.execute(insert(table), [one | {"mailbox_id": row} for one in rows])
        loops.refuse(write.connection, "forwards", [found.address])
        write.audit("mailbox.restore", found.address, removed=found.removed, home=found.home)
        return mailboxes.get(write.connection, made)


def expire(
    write: Write, address: str, number: int | None = None, administrator: int | None = None
) -> DeletedMailbox:
    """Let the mail of a mailbox go as soon as possible; raises `NoSuchObject` as `pick` does."""
    with write.attempt("mailbox.expire", address):
        found = pick(write.connection, address, number, administrator)
        if not found.is_due:
            which = _TABLE.c.id == found.id
            write.connection.execute(update(_TABLE).where(which).values(is_due=True))
            write.audit("mailbox.expire", found.address, removed=found.removed, home=found.home)
        return pick(write.connection, found.address, found.id)


# the removal of mail


def claim(
    connection: Connection, keep: float, now: int, *, number: int | None = None
) -> DeletedMailbox | None:
    """Begin the removal of the mail of one mailbox whose time is over; None if there is none.

    No other process does the same within `LEASE`. `keep` is in seconds. `number`: only the mailbox
    with this id. For `Database.record`.
    """
    which = _claimable(keep, now)
    if number is not None:
        which.append(_TABLE.c.id == number)
    first = select(_TABLE.c.id).where(*which).order_by(_TABLE.c.id).limit(1)
    found = connection.scalar(first)
    if found is None:
        return None
    # with the conditions, because another process may have been faster
    done = connection.execute(
        update(_TABLE).where(_TABLE.c.id == found, *which).values(claimed=now)
    )
    return get(connection, int(found)) if done.rowcount else None


def forget(write: Write, found: DeletedMailbox) -> bool:
    """Note that the mail of a mailbox is gone; False if somebody else did it before.

    SQLite may give the id to the next mailbox, which has another home.
    """
    which = (_TABLE.c.id == found.id, _TABLE.c.home == found.home)
    done = write.connection.execute(delete(_TABLE).where(*which))
    if done.rowcount:
        write.audit(
            "mailbox.purge",
            found.address,
            removed=found.removed,
            home=found.home,
            octets=found.octets,
        )
    return bool(done.rowcount)


def without_size(connection: Connection, since: int, limit: int) -> list[DeletedMailbox]:
    """Return mailboxes that were removed since then, whose size is not known."""
    which = (_TABLE.c.octets.is_(None), _TABLE.c.removed >= since, _TABLE.c.claimed.is_(None))
    rows = connection.execute(_select().where(*which).order_by(_TABLE.c.id.desc()).limit(limit))
    return [DeletedMailbox(**row._asdict()) for row in rows]


def note_size(connection: Connection, found: DeletedMailbox, octets: int) -> None:
    """Note the size of the mail; for `Database.record`."""
    which = (_TABLE.c.id == found.id, _TABLE.c.home == found.home)
    connection.execute(update(_TABLE).where(*which).values(octets=octets))


def _claimable(keep: float, now: int) -> list[ColumnElement[bool]]:
    ended = _TABLE.c.removed <= now - max(SETTLING, int(keep))
    is_due = _TABLE.c.is_due == literal(True, _TABLE.c.is_due.type)
    ordered = is_due & (_TABLE.c.removed <= now - SETTLING)
    free = or_(_TABLE.c.claimed.is_(None), _TABLE.c.claimed <= now - LEASE)
    return [or_(ended, ordered), free]


def _select() -> Select[Any]:
    return select(*(_TABLE.c[name] for name in DeletedMailbox.__dataclass_fields__))
