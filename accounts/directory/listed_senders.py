"""Senders whose mail a mailbox, or a domain, accepts without its spam filter, or blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection, Table, delete, func, insert, select

from accounts.address import AccountAddress
from accounts.directory import domains, fields, mailboxes
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

KINDS = ("allow", "block")
MAX_LISTED = 1000
"""Maximum number of senders that a mailbox or a domain lists: each message is compared with all."""


@dataclass(frozen=True, slots=True)
class ListedSender:
    """`pattern` is an address, or ``@`` and a domain; `kind` is one of `KINDS`."""

    mailbox: str
    kind: str
    pattern: str


@dataclass(frozen=True, slots=True)
class DomainListedSender:
    """A sender that all mailboxes of a domain accept or block."""

    domain: str
    kind: str
    pattern: str


_O = TypeVar("_O", ListedSender, DomainListedSender)


class SenderLists(Generic[_O]):
    """The lists of one kind of owner. `owner_of` returns the id and the name of one."""

    def __init__(
        self,
        made: Callable[[str, str, str], _O],
        table: Table,
        column: str,
        area: str,
        owner_of: Callable[[Connection, str | AccountAddress], tuple[int, str]],
    ) -> None:
        self._made: Callable[[str, str, str], _O] = made
        self._table = table
        self._column = column
        self._area = area
        self._owner_of = owner_of

    def find(self, connection: Connection, owner: str | AccountAddress) -> list[_O]:
        """Return all senders that an owner lists."""
        number, name = self._owner_of(connection, owner)
        table = self._table
        statement = select(table.c.kind, table.c.pattern).where(table.c[self._column] == number)
        rows = connection.execute(statement.order_by(table.c.kind, table.c.pattern))
        return [self._made(name, kind, pattern) for kind, pattern in rows]

    def add(self, write: Write, owner: str | AccountAddress, kind: str, pattern: str) -> _O:
        """List a sender; one that is listed with the other kind is moved."""
        with write.attempt(f"{self._area}.add", owner):
            number, name = self._owner_of(write.connection, owner)
            made = self._made(name, *_checked(kind, pattern))
            there = {one.pattern: one for one in self.find(write.connection, name)}
            if there.get(made.pattern) == made:
                raise AlreadyThere(f"{made.pattern} is listed already.")
            if made.pattern in there:
                self._delete(write, number, there[made.pattern])
            count = select(func.count()).where(self._table.c[self._column] == number)
            if write.connection.execute(count).scalar_one() >= MAX_LISTED:
                word = self._column.removesuffix("_id")
                raise Invalid("pattern", f"A {word} lists at most {MAX_LISTED} senders.")
            values = {self._column: number, "kind": made.kind, "pattern": made.pattern}
            write.connection.execute(insert(self._table).values(values))
            write.audit(f"{self._area}.add", name, kind=made.kind, pattern=made.pattern)
            return made

    def remove(self, write: Write, owner: str | AccountAddress, kind: str, pattern: str) -> None:
        """Remove a sender from the list."""
        with write.attempt(f"{self._area}.remove", owner):
            number, name = self._owner_of(write.connection, owner)
            listed = self._made(name, *_checked(kind, pattern))
            if not self._delete(write, number, listed):
                raise NoSuchObject(f"{listed.pattern} is not listed so by {name}.")
            write.audit(f"{self._area}.remove", name, kind=kind, pattern=listed.pattern)

    def _delete(self, write: Write, owner: int, listed: _O) -> bool:
        table = self._table
        done = write.connection.execute(
            delete(table).where(
                table.c[self._column] == owner,
                table.c.kind == listed.kind,
                table.c.pattern == listed.pattern,
            )
        )
        return done.rowcount == 1


def _mailbox(connection: Connection, address: str | AccountAddress) -> tuple[int, str]:
    found = mailboxes.get(connection, address)
    return found.id, found.address


def _domain(connection: Connection, name: str | AccountAddress) -> tuple[int, str]:
    found = domains.get(connection, str(name))
    return found.id, found.name


OF_MAILBOX = SenderLists(
    ListedSender, schema.listed_sender, "mailbox_id", "listed-sender", _mailbox
)
OF_DOMAIN = SenderLists(
    DomainListedSender,
    schema.domain_listed_sender,
    "domain_id",
    "domain-listed-sender",
    _domain,
)

find = OF_MAILBOX.find
add = OF_MAILBOX.add
remove = OF_MAILBOX.remove


def _checked(kind: str, pattern: str) -> tuple[str, str]:
    if not isinstance(pattern, str):
        raise Invalid("pattern", "It must be text.")
    if pattern.startswith("@"):
        checked = f"@{fields.domain('pattern', pattern[1:])}"
    else:
        # it belongs to another host, and is compared without regard to case
        checked = fields.target("pattern", pattern).lower()
    return fields.choice("kind", kind, KINDS), checked
