"""Senders whose mail a mailbox accepts without its spam filter, or blocks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

KINDS = ("allow", "block")
MAX_LISTED = 1000
"""Maximum number of senders that a mailbox lists: each message is compared with all."""

_TABLE = schema.listed_sender


@dataclass(frozen=True, slots=True)
class ListedSender:
    """`pattern` is an address, or ``@`` and a domain; `kind` is one of `KINDS`."""

    mailbox: str
    kind: str
    pattern: str


def find(connection: Connection, mailbox: str | AccountAddress) -> list[ListedSender]:
    """Return all senders that a mailbox lists."""
    owner = mailboxes.get(connection, mailbox)
    statement = select(_TABLE.c.kind, _TABLE.c.pattern).where(_TABLE.c.mailbox_id == owner.id)
    rows = connection.execute(statement.order_by(_TABLE.c.kind, _TABLE.c.pattern))
    return [ListedSender(owner.address, kind, pattern) for kind, pattern in rows]


def add(write: Write, mailbox: str | AccountAddress, kind: str, pattern: str) -> ListedSender:
    """List a sender; one that is listed with the other kind is moved."""
    with write.attempt("listed-sender.add", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        made = ListedSender(owner.address, *_checked(kind, pattern))
        there = {one.pattern: one for one in find(write.connection, owner.address)}
        if there.get(made.pattern) == made:
            raise AlreadyThere(f"{made.pattern} is listed already.")
        if made.pattern in there:
            _delete(write, owner.id, there[made.pattern])
        count = select(func.count()).where(_TABLE.c.mailbox_id == owner.id)
        if write.connection.execute(count).scalar_one() >= MAX_LISTED:
            raise Invalid("pattern", f"A mailbox lists at most {MAX_LISTED} senders.")
        write.connection.execute(
            insert(_TABLE).values(mailbox_id=owner.id, kind=made.kind, pattern=made.pattern)
        )
        write.audit("listed-sender.add", owner.address, kind=made.kind, pattern=made.pattern)
        return made


def remove(write: Write, mailbox: str | AccountAddress, kind: str, pattern: str) -> None:
    """Remove a sender from the list."""
    with write.attempt("listed-sender.remove", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        listed = ListedSender(owner.address, *_checked(kind, pattern))
        if not _delete(write, owner.id, listed):
            raise NoSuchObject(f"{listed.pattern} is not listed so by {owner.address}.")
        write.audit("listed-sender.remove", owner.address, kind=kind, pattern=listed.pattern)


def _checked(kind: str, pattern: str) -> tuple[str, str]:
    if not isinstance(pattern, str):
        raise Invalid("pattern", "It must be text.")
    if pattern.startswith("@"):
        checked = f"@{fields.domain('pattern', pattern[1:])}"
    else:
        # it belongs to another host, and is compared without regard to case
        checked = fields.target("pattern", pattern).lower()
    return fields.choice("kind", kind, KINDS), checked


def _delete(write: Write, mailbox: int, listed: ListedSender) -> bool:
    done = write.connection.execute(
        delete(_TABLE).where(
            _TABLE.c.mailbox_id == mailbox,
            _TABLE.c.kind == listed.kind,
            _TABLE.c.pattern == listed.pattern,
        )
    )
    return done.rowcount == 1
