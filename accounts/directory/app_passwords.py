"""App passwords: one for each program of a user, for some protocols, removed individually."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import fields, mailboxes
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.noted import clean
from accounts.store.transaction import Write

PROTOCOLS = ("imap", "pop3", "smtp", "sieve")
MAX_PASSWORDS = 50
"""Maximum number of app passwords of a mailbox: a login tries each, at the cost of a hash."""

_TABLE = schema.app_password


@dataclass(frozen=True, slots=True)
class AppPassword:
    """An app password. After `expires` (seconds since the epoch; None is never) it is not valid.

    `last_client` is the address from which it was last used.
    """

    id: int
    mailbox: str
    name: str
    password: str
    protocols: tuple[str, ...]
    expires: int | None
    created: int
    last_used: int | None
    last_client: str | None


def get(connection: Connection, mailbox: str | AccountAddress, name: str) -> AppPassword:
    """Return an app password; raises `NoSuchObject`."""
    owner = mailboxes.id_of(connection, mailbox)
    named = fields.name("name", name)
    statement = _select().where(_TABLE.c.mailbox_id == owner, _TABLE.c.name == named)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NoSuchObject(f"There is no app password {named!r} of {mailbox}.")
    return _made(row)


def find(connection: Connection, mailbox: str | AccountAddress) -> list[AppPassword]:
    """Return all app passwords of a mailbox, by name."""
    owner = mailboxes.id_of(connection, mailbox)
    rows = connection.execute(_select().where(_TABLE.c.mailbox_id == owner).order_by(_TABLE.c.name))
    return [_made(row) for row in rows]


def add(
    write: Write,
    mailbox: str | AccountAddress,
    name: str,
    *,
    password: str,
    protocols: Sequence[str] = PROTOCOLS,
    expires: int | None = None,
) -> AppPassword:
    """Add an app password; `password` is the hash of the generated password."""
    with write.attempt("app-password.add", mailbox):
        owner = mailboxes.get(write.connection, mailbox)
        values = {
            "name": fields.name("name", name),
            "protocols": fields.words("protocols", protocols, PROTOCOLS),
            "expires": fields.optional(fields.time)("expires", expires),
        }
        taken = select(_TABLE.c.id).where(
            _TABLE.c.mailbox_id == owner.id, _TABLE.c.name == values["name"]
        )
        if write.connection.scalar(taken) is not None:
            raise AlreadyThere(f"{owner.address} has an app password {values['name']!r} already.")
        count = select(func.count()).where(_TABLE.c.mailbox_id == owner.id)
        if write.connection.execute(count).scalar_one() >= MAX_PASSWORDS:
            raise Invalid("name", f"A mailbox has at most {MAX_PASSWORDS} app passwords.")
        write.connection.execute(
            insert(_TABLE).values(
                mailbox_id=owner.id,
                password=fields.hashed("password", password),
                created=write.now,
                **values,
            )
        )
        write.audit("app-password.add", owner.address, **values)
        return get(write.connection, owner.address, values["name"])


def remove(write: Write, mailbox: str | AccountAddress, name: str) -> None:
    """Remove an app password; programs that use it can no longer log in."""
    with write.attempt("app-password.remove", mailbox):
        found = get(write.connection, mailbox, name)
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == found.id))
        write.audit("app-password.remove", found.mailbox, name=found.name)


def note_use(connection: Connection, row: int, now: int, client: str | None) -> None:
    """Note that the app password with the id `row` was used; for `Database.record`."""
    values = {"last_used": now, "last_client": None if client is None else clean(client)}
    connection.execute(update(_TABLE).where(_TABLE.c.id == row).values(values))


def _select() -> Select[Any]:
    columns = [column for column in _TABLE.c if column.name != "mailbox_id"]
    return select(*columns, schema.mailbox.c.address.label("mailbox")).join_from(
        _TABLE, schema.mailbox
    )


def _made(row: Any) -> AppPassword:
    values = row._asdict()
    return AppPassword(**values | {"protocols": tuple(values["protocols"].split())})
