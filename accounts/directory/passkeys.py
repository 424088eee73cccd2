"""Passkeys: public keys of WebAuthn, whose private keys an authenticator keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from accounts.directory import fields
from accounts.directory.owner import LoginOwner
from accounts.store import schema
from accounts.store.errors import AlreadyThere, Invalid, NoSuchObject
from accounts.store.transaction import Write

MAX_PASSKEYS = 20
"""Passkeys of an account."""
MAX_CREDENTIAL = 1023
"""Octets of an id (WebAuthn level 2 section 4, Credential ID)."""

_TABLE = schema.passkey


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey. One of `administrator` and `mailbox` is None. `handle` is what the authenticator
    calls the account. `sign_count` is the number of its signatures, 0 if it does not count. Times
    are in seconds since the epoch."""

    id: int
    administrator: str | None
    mailbox: str | None
    name: str
    credential: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    handle: bytes = field(repr=False)
    sign_count: int
    created: int
    last_used: int | None


def find(connection: Connection, owner: LoginOwner) -> list[Passkey]:
    """Return the passkeys of an account, the oldest first."""
    rows = connection.execute(_select().where(owner.of(_TABLE)).order_by(_TABLE.c.id))
    return [Passkey(**row._asdict()) for row in rows]


def find_by_credential(connection: Connection, credential: bytes) -> Passkey | None:
    """Return the passkey with the id of an authenticator, or None."""
    if len(credential) > MAX_CREDENTIAL:
        return None
    row = connection.execute(_select().where(_TABLE.c.credential == credential)).one_or_none()
    return None if row is None else Passkey(**row._asdict())


def add(
    write: Write,
    owner: LoginOwner,
    name: str,
    *,
    credential: bytes,
    public_key: bytes,
    handle: bytes,
    sign_count: int,
) -> None:
    """Add a passkey that was verified."""
    with write.attempt("second-factor.add", owner.name):
        named = fields.name("name", name)
        if not credential or len(credential) > MAX_CREDENTIAL:
            raise Invalid("passkey", "The id of this passkey is too long.")
        if find_by_credential(write.connection, credential) is not None:
            raise AlreadyThere("This passkey is there already.")
        count = select(func.count()).select_from(_TABLE).where(owner.of(_TABLE))
        if write.connection.execute(count).scalar_one() >= MAX_PASSKEYS:
            raise Invalid("name", f"An account has at most {MAX_PASSKEYS} passkeys.")
        write.connection.execute(
            insert(_TABLE).values(
                name=named,
                credential=credential,
                public_key=public_key,
                handle=handle,
                sign_count=sign_count,
                created=write.now,
                **owner.values,
            )
        )
        write.audit("second-factor.add", owner.name, kind="passkey", name=named)


def note_use(connection: Connection, row: int, sign_count: int, now: int) -> bool:
    """Note a use; return False if the count of signatures did not grow: there is a copy of the key.

    For `Database.record`.
    """
    # WebAuthn level 2 section 7.2 step 21
    grows = _TABLE.c.sign_count < sign_count
    if sign_count == 0:
        grows = _TABLE.c.sign_count == 0
    done = connection.execute(
        update(_TABLE).where(_TABLE.c.id == row, grows).values(sign_count=sign_count, last_used=now)
    )
    return done.rowcount == 1


def remove(write: Write, owner: LoginOwner, row: int) -> None:
    """Remove a passkey; raises `NoSuchObject`."""
    which = (_TABLE.c.id == row, owner.of(_TABLE))
    name = write.connection.scalar(select(_TABLE.c.name).where(*which))
    if name is None:
        raise NoSuchObject("There is no such passkey.")
    write.connection.execute(delete(_TABLE).where(*which))
    write.audit("second-factor.remove", owner.name, kind="passkey", name=name)


def _select() -> Select[Any]:
    columns = [c for c in _TABLE.c if c.name not in ("administrator_id", "mailbox_id")]
    return select(
        *columns,
        schema.administrator.c.login.label("administrator"),
        schema.mailbox.c.address.label("mailbox"),
    ).select_from(_TABLE.outerjoin(schema.administrator).outerjoin(schema.mailbox))
