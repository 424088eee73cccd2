"""Rights of a mailbox to send as other addresses, or as all addresses of a domain."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.directory.paging import PAGE, page
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

MAX_RIGHTS = 1000
"""Maximum number of rights of a mailbox."""

_TABLE = schema.sender_right


@dataclass(frozen=True, slots=True)
class SenderRight:
    """The mailbox may send as `sender`: an address, or ``@`` and a domain."""

    id: int
    mailbox: str
    sender: str


def find(
    connection: Connection,
    *,
    mailbox: str | AccountAddress | None = None,
    sender: str | None = None,
    after: int | None = None,
    limit: int = PAGE,
) -> list[SenderRight]:
    """Return rights after the id `after`: of a mailbox, to an address, or all."""
    statement = select(
        _TABLE.c.id, schema.mailbox.c.address.label("mailbox"), _TABLE.c.sender
    ).join_from(_TABLE, schema.mailbox)
    if mailbox is not None:
        statement = statement.where(_TABLE.c.mailbox_id == mailboxes.id_of(connection, mailbox))
    if sender is not None:
        statement = statement.where(_TABLE.c.sender == fields.sender("sender", sender))
    rows = connection.execute(page(statement, _TABLE.c.id, after, limit))
    return [SenderRight(**row._asdict()) for row in rows]


def add(write: Write, mailbox: str | AccountAddress, sender: str) -> SenderRight:
    """Give a right."""
    with write.attempt("sender-right.add", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        as_sender = fields.sender("sender", sender)
        if as_sender == owner.address:
            raise Invalid("sender", "A mailbox may always send as itself.")
        if _row(write.connection, owner.id, as_sender) is not None:
            raise AlreadyThere(f"{owner.address} may already send as {as_sender}.")
        count = select(func.count()).where(_TABLE.c.mailbox_id == owner.id)
        if write.connection.execute(count).scalar_one() >= MAX_RIGHTS:
            raise Invalid("sender", f"A mailbox has at most {MAX_RIGHTS} rights.")
        row = write.connection.execute(
            insert(_TABLE).values(mailbox_id=owner.id, sender=as_sender).returning(_TABLE.c.id)
        ).scalar_one()
        write.audit("sender-right.add", owner.address, sender=as_sender)
        return SenderRight(row, owner.address, as_sender)


def remove(write: Write, mailbox: str | AccountAddress, sender: str) -> None:
    """Take a right away."""
    with write.attempt("sender-right.remove", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        as_sender = fields.sender("sender", sender)
        row = _row(write.connection, owner.id, as_sender)
        if row is None:
            raise NoSuchObject(f"{owner.address} has no right to send as {as_sender}.")
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == row))
        write.audit("sender-right.remove", owner.address, sender=as_sender)


def _row(connection: Connection, mailbox: int, sender: str) -> int | None:
    statement = select(_TABLE.c.id).where(_TABLE.c.mailbox_id == mailbox, _TABLE.c.sender == sender)
    return connection.scalar(statement)
