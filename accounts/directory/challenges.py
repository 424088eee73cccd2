"""Challenges that a passkey has to sign: each for one browser, one purpose, and one try.

All functions are for `Database.record`.
"""

from __future__ import annotations

import hashlib
import os

from sqlalchemy import Connection, delete, insert, select

from accounts.store import schema

PURPOSES = ("register", "confirm", "step", "login")
"""Purposes: a new passkey, an action that needs it again, the second step of a login, and a login
without a password."""
LIFETIME = 300
"""Seconds for a person to find the authenticator."""
MAX_CHALLENGES = 10_000
"""Challenges of a purpose at the same time; a new one ends the oldest. Everybody may ask for those
of logins, which end none of people who have given their password."""

_OCTETS = 32

_TABLE = schema.web_challenge


def make(connection: Connection, secret: str, purpose: str, now: int) -> bytes:
    """Return a new challenge for the browser that has a secret, in place of an earlier one."""
    digest = _digest(secret)
    connection.execute(delete(_TABLE).where(_TABLE.c.created <= now - LIFETIME))
    connection.execute(delete(_TABLE).where(_TABLE.c.digest == digest, _TABLE.c.purpose == purpose))
    same = _TABLE.c.purpose == purpose
    newest = select(_TABLE.c.id).where(same).order_by(_TABLE.c.id.desc())
    bound = connection.scalar(newest.offset(MAX_CHALLENGES - 1).limit(1))
    if bound is not None:
        connection.execute(delete(_TABLE).where(same, _TABLE.c.id <= bound))
    # WebAuthn level 2 section 13.4.3
    challenge = os.urandom(_OCTETS)
    connection.execute(
        insert(_TABLE).values(digest=digest, purpose=purpose, challenge=challenge, created=now)
    )
    return challenge


def take(connection: Connection, secret: str, purpose: str, now: int) -> bytes | None:
    """Return the challenge of a browser, which is used up; None if there is none."""
    which = (_TABLE.c.digest == _digest(secret), _TABLE.c.purpose == purpose)
    statement = delete(_TABLE).where(*which).returning(_TABLE.c.challenge, _TABLE.c.created)
    row = connection.execute(statement).one_or_none()
    if row is None or row.created <= now - LIFETIME:
        return None
    return bytes(row.challenge)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
