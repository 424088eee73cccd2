"""Steps of logins: the password was right, and a second factor is still needed.

A step is no session and opens nothing. It belongs to the browser that has its secret, of which the
datastore has the digest. All functions but those that only read are for `Database.record`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from accounts.directory.owner import LoginOwner
from accounts.store import schema

LIFETIME = 300
"""Seconds for the second factor."""
MAX_FAILURES = 10
"""Wrong codes after which the password is needed again."""
MAX_STEPS = 20
"""Steps of an account at the same time; a new one ends the oldest."""

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}\Z")

_TABLE = schema.login_step


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login that waits; one of `administrator` and `mailbox` is None."""

    id: int
    administrator: str | None
    mailbox: str | None


def begin(connection: Connection, owner: LoginOwner, now: int) -> str:
    """Begin a step and return its secret."""
    connection.execute(delete(_TABLE).where(_TABLE.c.created <= now - LIFETIME))
    kept = (
        select(_TABLE.c.id)
        .where(owner.of(_TABLE))
        .order_by(_TABLE.c.id.desc())
        .limit(MAX_STEPS - 1)
    )
    connection.execute(delete(_TABLE).where(owner.of(_TABLE), _TABLE.c.id.not_in(kept)))
    secret = secrets.token_urlsafe(32)
    connection.execute(insert(_TABLE).values(digest=_digest(secret), created=now, **owner.values))
    return secret


def find(connection: Connection, secret: str, now: int) -> PendingLogin | None:
    """Return the step that a browser has the secret of; None if there is none, or it ended."""
    if not _SECRET.match(secret):
        return None
    statement = (
        select(
            _TABLE.c.id,
            schema.administrator.c.login.label("administrator"),
            schema.mailbox.c.address.label("mailbox"),
        )
        .select_from(_TABLE.outerjoin(schema.administrator).outerjoin(schema.mailbox))
        .where(_TABLE.c.digest == _digest(secret), _alive(now))
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else PendingLogin(**row._asdict())


def note_failure(connection: Connection, row: int) -> None:
    """Count a wrong code."""
    statement = update(_TABLE).where(_TABLE.c.id == row)
    connection.execute(statement.values(failures=_TABLE.c.failures + 1))


def end(connection: Connection, row: int, now: int) -> bool:
    """End a step; return whether it was still there."""
    done = connection.execute(delete(_TABLE).where(_TABLE.c.id == row, _alive(now)))
    return done.rowcount == 1


def _alive(now: int) -> ColumnElement[bool]:
    return (_TABLE.c.created > now - LIFETIME) & (_TABLE.c.failures < MAX_FAILURES)


def _digest(secret: str) -> bytes:
    # 256 random bits need no slow hash
    return hashlib.sha256(secret.encode()).digest()
