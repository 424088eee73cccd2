"""Second factors of an account: an app for codes, passkeys, and recovery codes beside them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, select

from accounts.directory import passkeys, recovery_codes, totp_secrets, web_sessions
from accounts.directory.owner import LoginOwner
from accounts.store import schema
from accounts.store.errors import NoSuchObject
from accounts.store.transaction import Write

APP = "app"
PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A second factor: its kind, ``app`` or ``passkey``, and its name. Times are in seconds since
    the epoch."""

    kind: str
    name: str
    created: int
    last_used: int | None


def kinds(connection: Connection, owner: LoginOwner) -> frozenset[str]:
    """Return the kinds of second factors that an account has; none without any."""
    app, key = schema.totp, schema.passkey
    found = connection.execute(
        select(
            exists().where(owner.of(app), app.c.confirmed.is_not(None)),
            exists().where(owner.of(key)),
        )
    ).one()
    return frozenset(kind for kind, is_there in zip((APP, PASSKEY), found, strict=True) if is_there)


def find(connection: Connection, owner: LoginOwner) -> list[SecondFactor]:
    """Return the second factors of an account."""
    app = totp_secrets.get(connection, owner)
    found = [] if app is None else [SecondFactor(APP, "", app.created, app.last_used)]
    return found + [
        SecondFactor(PASSKEY, one.name, one.created, one.last_used)
        for one in passkeys.find(connection, owner)
    ]


def reset(write: Write, owner: LoginOwner) -> None:
    """Remove all second factors of an account for somebody else, and end all its sessions.

    Raises `NoSuchObject` if there are none.
    """
    with write.attempt("second-factor.reset", owner.name):
        found = kinds(write.connection, owner)
        if not found:
            raise NoSuchObject(f"{owner.name} has no second factor.")
        for table in (schema.totp, schema.passkey, schema.recovery_code):
            write.connection.execute(delete(table).where(owner.of(table)))
        web_sessions.remove_of(write.connection, owner.column, owner.row)
        write.audit("second-factor.reset", owner.name, kinds=sorted(found))


def tidy(connection: Connection, owner: LoginOwner) -> None:
    """Remove the recovery codes of an account that has no second factor any more."""
    if not kinds(connection, owner):
        recovery_codes.remove_of(connection, owner)
