"""Sessions of the web pages. The datastore has only the digest of the secret in the browser.

They begin, go on and end by `Database.record`, because a login is no change of the data. Those that
somebody else ends are in the audit log.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, insert, or_, select, update

from accounts.directory.owner import find_login_owner
from accounts.store import schema
from accounts.store.errors import NoSuchObject
from accounts.store.noted import clean
from accounts.store.transaction import Write

MAX_SESSIONS = 50
"""Sessions of an administrator or a mailbox; a new one ends the one that was used least
recently."""
MAX_BROWSER = 200
"""Characters of the name that a browser gives itself."""

_OCTETS = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}\Z")

_TABLE = schema.web_session


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session of an administrator or a mailbox; one of both is None. Times are in seconds since
    the epoch. `confirmed` is when the password was last given."""

    id: int
    administrator: str | None
    mailbox: str | None
    client: str | None
    browser: str
    created: int
    last_used: int
    confirmed: int


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """The seconds after which a session ends: without use, and in any case."""

    idle: int
    lifetime: int


def find(
    connection: Connection, now: int, limits: SessionLimits, **owner: str | None
) -> list[WebSession]:
    """Return the sessions of an owner (`administrator` or `mailbox`), the latest used first."""
    statement = _select(_alive(now, limits)).where(_of_owner(connection, **owner))
    rows = connection.execute(statement.order_by(_TABLE.c.last_used.desc(), _TABLE.c.id.desc()))
    return [WebSession(**row._asdict()) for row in rows.fetchmany(MAX_SESSIONS)]


def find_by_secret(
    connection: Connection, secret: str, now: int, limits: SessionLimits
) -> WebSession | None:
    """Return the session that a browser has the secret of; None if there is none, or it ended."""
    if not _SECRET.match(secret):
        return None
    statement = _select(_alive(now, limits)).where(_TABLE.c.digest == _digest(secret))
    row = connection.execute(statement).one_or_none()
    return None if row is None else WebSession(**row._asdict())


def begin(
    connection: Connection, now: int, client: str | None, browser: str, **owner: str | None
) -> str:
    """Begin a session of an owner (`administrator` or `mailbox`); return its secret.

    Raises `NoSuchObject` if the owner was removed meanwhile. For `Database.record`.
    """
    found = find_login_owner(connection, **owner)
    kept = (
        select(_TABLE.c.id)
        .where(found.of(_TABLE))
        .order_by(_TABLE.c.last_used.desc(), _TABLE.c.id.desc())
        .limit(MAX_SESSIONS - 1)
    )
    connection.execute(delete(_TABLE).where(found.of(_TABLE), _TABLE.c.id.not_in(kept)))
    secret = secrets.token_urlsafe(_OCTETS)
    times = dict.fromkeys(("created", "last_used", "confirmed"), now)
    connection.execute(
        insert(_TABLE).values(
            digest=_digest(secret),
            client=client,
            browser=clean(browser[:MAX_BROWSER]),
            **found.values,
            **times,
        )
    )
    return secret


def note_use(connection: Connection, row: int, now: int, *, confirmed: bool = False) -> None:
    """Note that a session was used, and perhaps confirmed. For `Database.record`."""
    values = {"last_used": now} | ({"confirmed": now} if confirmed else {})
    connection.execute(update(_TABLE).where(_TABLE.c.id == row).values(values))


def note_confirmed(connection: Connection, secret: str, confirmed: int) -> None:
    """Note when the password of a session was given. For `Database.record`."""
    which = _TABLE.c.digest == _digest(secret)
    connection.execute(update(_TABLE).where(which).values(confirmed=confirmed))


def end(connection: Connection, row: int) -> None:
    """End a session at the wish of its browser. For `Database.record`."""
    connection.execute(delete(_TABLE).where(_TABLE.c.id == row))


def end_old(connection: Connection, now: int, limits: SessionLimits) -> None:
    """Remove what is left of sessions that have ended by themselves. For `Database.record`."""
    connection.execute(
        delete(_TABLE).where(
            or_(_TABLE.c.last_used <= now - limits.idle, _TABLE.c.created <= now - limits.lifetime)
        )
    )


def remove(write: Write, row: int, **owner: str | None) -> None:
    """End another session of an owner; raises `NoSuchObject`."""
    named = _name(owner)
    with write.attempt("session.remove", named):
        of_owner = _of_owner(write.connection, **owner)
        done = write.connection.execute(delete(_TABLE).where(_TABLE.c.id == row, of_owner))
        if done.rowcount == 0:
            raise NoSuchObject("There is no such session; perhaps it has ended.")
        write.audit("session.remove", named, id=row)


def remove_others(write: Write, kept: int, **owner: str | None) -> int:
    """End all sessions of an owner but one; return how many there were."""
    named = _name(owner)
    with write.attempt("session.remove", named):
        of_owner = _of_owner(write.connection, **owner)
        done = write.connection.execute(delete(_TABLE).where(_TABLE.c.id != kept, of_owner))
        if done.rowcount:
            write.audit("session.remove", named, number=done.rowcount)
        return done.rowcount


def remove_of(connection: Connection, column: str, row: int) -> None:
    """End all sessions of a row: `column` is ``administrator_id`` or ``mailbox_id``.

    For an owner that has another password, or may not log in any more. Logins that wait for a
    second factor end, too.
    """
    for table in (_TABLE, schema.login_step):
        connection.execute(delete(table).where(table.c[column] == row))


def remove_all(write: Write) -> None:
    """End all sessions: a backup that was restored has some that ended since."""
    for table in (_TABLE, schema.login_step, schema.web_challenge):
        write.connection.execute(delete(table))


def _alive(now: int, limits: SessionLimits) -> ColumnElement[bool]:
    return (_TABLE.c.last_used > now - limits.idle) & (_TABLE.c.created > now - limits.lifetime)


def _digest(secret: str) -> bytes:
    # 256 random bits need no slow hash
    return hashlib.sha256(secret.encode()).digest()


def _name(owner: dict[str, str | None]) -> str:
    return next((name for name in owner.values() if name is not None), "")


def _of_owner(connection: Connection, **owner: str | None) -> ColumnElement[bool]:
    return find_login_owner(connection, **owner).of(_TABLE)


def _select(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            _TABLE.c.id,
            schema.administrator.c.login.label("administrator"),
            schema.mailbox.c.address.label("mailbox"),
            _TABLE.c.client,
            _TABLE.c.browser,
            _TABLE.c.created,
            _TABLE.c.last_used,
            _TABLE.c.confirmed,
        )
        .select_from(_TABLE.outerjoin(schema.administrator).outerjoin(schema.mailbox))
        .where(condition)
    )
