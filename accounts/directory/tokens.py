"""Tokens of the API. The datastore has only the digest of a token, so nobody can read it again."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from accounts.address import AccountAddress
from accounts.directory import administrators, fields, mailboxes
from accounts.directory.paging import PAGE, page
from accounts.store import schema
from accounts.store.errors import Invalid, NoSuchObject
from accounts.store.transaction import Write

PREFIX = "gp_"
"""Prefix of every token, so that people and secret scanners recognize it."""
MAX_TOKENS = 100
"""Tokens of an administrator or a mailbox; each has limits of its own on requests."""
MAX_SCOPES = 50

_OCTETS = 32
_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}\Z")
_SCOPE = re.compile(r"[a-z][a-z0-9-]{0,40}(?::[a-z0-9*-]{1,40})?\Z")

_TABLE = schema.token


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token. It belongs to an administrator, to a mailbox, or to a program (both None).

    After `expires` (seconds since the epoch; None is never) it is not valid.
    """

    id: int
    name: str
    scopes: tuple[str, ...]
    administrator: str | None
    mailbox: str | None
    expires: int | None
    created: int
    last_used: int | None


def get(connection: Connection, row: int) -> ApiToken:
    """Return the token with an id; raises `NoSuchObject`."""
    number = fields.number("id", row)
    found = connection.execute(_select().where(_TABLE.c.id == number)).one_or_none()
    if found is None:
        raise NoSuchObject(f"There is no token {number}.")
    return _made(found)


def find(
    connection: Connection,
    *,
    administrator: str | None = None,
    mailbox: str | AccountAddress | None = None,
    after: int | None = None,
    limit: int = PAGE,
) -> list[ApiToken]:
    """Return tokens after the id `after`: of an administrator, of a mailbox, or all."""
    statement = _select()
    if administrator is not None:
        owner = administrators.get(connection, administrator).id
        statement = statement.where(_TABLE.c.administrator_id == owner)
    if mailbox is not None:
        owner = mailboxes.id_of(connection, mailbox)
        statement = statement.where(_TABLE.c.mailbox_id == owner)
    return [_made(row) for row in connection.execute(page(statement, _TABLE.c.id, after, limit))]


def find_by_text(connection: Connection, text: str, now: int) -> ApiToken | None:
    """Return the token with this text; None if it does not exist or has expired.

    The search is for the digest, so its duration reveals nothing about similar tokens.
    """
    if not _TOKEN.match(text):
        return None
    found = connection.execute(_select().where(_TABLE.c.digest == _digest(text))).one_or_none()
    if found is None or (found.expires is not None and found.expires <= now):
        return None
    return _made(found)


def add(
    write: Write,
    name: str,
    *,
    scopes: Sequence[str],
    administrator: str | None = None,
    mailbox: str | AccountAddress | None = None,
    expires: int | None = None,
) -> tuple[ApiToken, str]:
    """Add a token; return it and its text, which is to be shown once."""
    with write.attempt("token.add", name):
        values = {
            "name": fields.name("name", name),
            "scopes": _scopes("scopes", scopes),
            "expires": fields.optional(fields.time)("expires", expires),
        }
        owners: dict[str, int] = {}
        if administrator is not None:
            owners["administrator_id"] = administrators.get(write.connection, administrator).id
        if mailbox is not None:
            owners["mailbox_id"] = mailboxes.id_of(write.connection, mailbox)
        if len(owners) > 1:
            raise Invalid("mailbox", "A token belongs to an administrator or to a mailbox.")
        for column, owner in owners.items():
            count = select(func.count()).where(_TABLE.c[column] == owner)
            if write.connection.execute(count).scalar_one() >= MAX_TOKENS:
                raise Invalid("name", f"An owner has at most {MAX_TOKENS} tokens.")
        text = PREFIX + secrets.token_urlsafe(_OCTETS)
        row = write.connection.execute(
            insert(_TABLE)
            .values(**values, **owners, digest=_digest(text), created=write.now)
            .returning(_TABLE.c.id)
        ).scalar_one()
        made = get(write.connection, row)
        write.audit(
            "token.add",
            made.name,
            id=row,
            scopes=values["scopes"],
            administrator=made.administrator,
            mailbox=made.mailbox,
            expires=made.expires,
        )
        return made, text


def remove(write: Write, row: int) -> None:
    """Remove a token, which is not valid from now on."""
    with write.attempt("token.remove", row):
        before = get(write.connection, row)
        write.connection.execute(delete(_TABLE).where(_TABLE.c.id == before.id))
        write.audit("token.remove", before.name, id=before.id)


def note_use(connection: Connection, row: int, now: int) -> None:
    """Note that the token with the id `row` was used; for `Database.record`."""
    connection.execute(update(_TABLE).where(_TABLE.c.id == row).values(last_used=now))


def _digest(text: str) -> bytes:
    # 256 random bits need no slow hash
    return hashlib.sha256(text.encode()).digest()


def _scopes(field: str, value: Any) -> str:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_SCOPES:
        raise Invalid(field, f"It must be a list of 1 to {MAX_SCOPES} scopes.")
    for one in value:
        if not isinstance(one, str) or not _SCOPE.match(one):
            raise Invalid(field, "A scope is a word, such as domains:read.")
    return " ".join(sorted(set(value)))


def _select() -> Select[Any]:
    of_either = ("administrator_id", "mailbox_id", "digest")
    columns = [column for column in _TABLE.c if column.name not in of_either]
    return select(
        *columns,
        schema.administrator.c.login.label("administrator"),
        schema.mailbox.c.address.label("mailbox"),
    ).select_from(_TABLE.outerjoin(schema.administrator).outerjoin(schema.mailbox))


def _made(row: Any) -> ApiToken:
    values = row._asdict()
    return ApiToken(**values | {"scopes": tuple(values["scopes"].split())})
