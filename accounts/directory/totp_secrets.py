"""Secrets of apps that make one-time codes. They are encrypted; see `accounts.store.seal`.

An account has one. It counts only after a first code has confirmed it, and each code counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, delete, insert, select, update

from accounts.directory.owner import LoginOwner
from accounts.one_time_code import matching_step, new_secret
from accounts.store import schema
from accounts.store.errors import NoSuchObject
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write

MAX_FAILURES = 100
"""Wrong codes in a row after which no code counts any more: somebody guesses."""
MAX_PENDING = 900
"""Seconds within which a new secret has to be confirmed."""
PURPOSE = "a secret for one-time codes"
"""The text that secrets are bound to. It does not name the account, which may be renamed, and
restored with another id."""

_TABLE = schema.totp


class CodeVerdict(Enum):
    """Verdict about a code."""

    RIGHT = "right"
    WRONG = "wrong"
    USED = "used"
    """It was right before, and counts once."""
    LOCKED = "locked"
    """There were too many wrong codes."""


@dataclass(frozen=True, slots=True)
class TotpSecret:
    """A confirmed secret, without the secret itself. Times are in seconds since the epoch."""

    created: int
    last_used: int | None


def get(connection: Connection, owner: LoginOwner) -> TotpSecret | None:
    """Return the confirmed secret of an account, or None."""
    statement = select(_TABLE.c.created, _TABLE.c.last_used).where(
        owner.of(_TABLE), _TABLE.c.confirmed.is_not(None)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else TotpSecret(**row._asdict())


def begin(connection: Connection, seal: SecretSeal, owner: LoginOwner, now: int) -> bytes | None:
    """Return a new secret, which does not count yet; None if a confirmed one is there.

    Raises `SealError` if there is no key to encrypt it with. For `Database.record`.
    """
    if get(connection, owner) is not None:
        return None
    connection.execute(delete(_TABLE).where(owner.of(_TABLE)))
    secret = new_secret()
    connection.execute(
        insert(_TABLE).values(secret=seal.close(secret, PURPOSE), created=now, **owner.values)
    )
    return secret


def pending(connection: Connection, seal: SecretSeal, owner: LoginOwner, now: int) -> bytes | None:
    """Return the new secret that waits for its first code, or None."""
    statement = select(_TABLE.c.secret).where(
        owner.of(_TABLE), _TABLE.c.confirmed.is_(None), _TABLE.c.created > now - MAX_PENDING
    )
    sealed = connection.scalar(statement)
    return None if sealed is None else seal.open(sealed, PURPOSE)


def confirm(write: Write, seal: SecretSeal, owner: LoginOwner, code: str) -> bool:
    """Let a new secret count if the code is right, and return whether it is.

    Raises `NoSuchObject` if no new secret waits for a code.
    """
    secret = pending(write.connection, seal, owner, write.now)
    if secret is None:
        raise NoSuchObject("The new secret is gone, or too old. Begin again.")
    step = matching_step(secret, code, write.now)
    if step is None:
        return False
    done = write.connection.execute(
        update(_TABLE)
        .where(owner.of(_TABLE), _TABLE.c.confirmed.is_(None))
        .values(confirmed=write.now, last_used=write.now, last_step=step)
    )
    if done.rowcount != 1:
        raise NoSuchObject("The new secret is gone, or too old. Begin again.")
    write.audit("second-factor.add", owner.name, kind="app")
    return True


def use(
    connection: Connection, seal: SecretSeal, owner: LoginOwner, code: str, now: int
) -> CodeVerdict:
    """Return whether a code is right. A right one is used up. For `Database.record`."""
    statement = select(_TABLE).where(owner.of(_TABLE), _TABLE.c.confirmed.is_not(None))
    row = connection.execute(statement).one_or_none()
    if row is None:
        return CodeVerdict.WRONG
    if row.failures >= MAX_FAILURES:
        return CodeVerdict.LOCKED
    step = matching_step(seal.open(row.secret, PURPOSE), code, now)
    which = _TABLE.c.id == row.id
    if step is None:
        connection.execute(update(_TABLE).where(which).values(failures=_TABLE.c.failures + 1))
        return CodeVerdict.WRONG
    # RFC 6238 section 5.2: a code is accepted once; another process may be as fast as this one
    done = connection.execute(
        update(_TABLE)
        .where(which, _TABLE.c.last_step < step)
        .values(last_step=step, failures=0, last_used=now)
    )
    return CodeVerdict.RIGHT if done.rowcount == 1 else CodeVerdict.USED


def forgive(connection: Connection, owner: LoginOwner) -> None:
    """Forget the wrong codes, after another proof of the owner. For `Database.record`."""
    connection.execute(update(_TABLE).where(owner.of(_TABLE)).values(failures=0))


def remove(write: Write, owner: LoginOwner) -> None:
    """Remove the secret of an account; raises `NoSuchObject`."""
    done = write.connection.execute(delete(_TABLE).where(owner.of(_TABLE)))
    if done.rowcount == 0:
        raise NoSuchObject("There is no app.")
    write.audit("second-factor.remove", owner.name, kind="app")
