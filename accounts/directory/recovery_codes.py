"""Recovery codes, for who has lost the second factor. The datastore has only their digests.

Each works once. A code has 80 random bits, so that its digest needs no slow hash.
"""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection, delete, func, insert, select

from accounts.directory.owner import LoginOwner
from accounts.store import schema
from accounts.store.transaction import Write

CODES = 10
"""Codes that an account gets at once."""

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_LENGTH, _GROUP = 16, 4

_TABLE = schema.recovery_code


def make(write: Write, owner: LoginOwner) -> list[str]:
    """Return new codes in place of all older ones."""
    write.connection.execute(delete(_TABLE).where(owner.of(_TABLE)))
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(CODES)]
    write.connection.execute(
        insert(_TABLE), [{"digest": _digest(code), **owner.values} for code in codes]
    )
    write.audit("recovery-codes.make", owner.name, number=CODES)
    return ["-".join(code[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP)) for code in codes]


def count(connection: Connection, owner: LoginOwner) -> int:
    """Return the number of codes that were not used yet."""
    statement = select(func.count()).select_from(_TABLE).where(owner.of(_TABLE))
    return int(connection.execute(statement).scalar_one())


def use(write: Write, owner: LoginOwner, text: str) -> bool:
    """Return whether a text is a code of the account, which it uses up."""
    code = text.lower()
    if len(code) != _LENGTH:
        return False
    digest = _digest(code)
    done = write.connection.execute(
        delete(_TABLE).where(owner.of(_TABLE), _TABLE.c.digest == digest)
    )
    if done.rowcount != 1:
        return False
    write.audit("recovery-code.use", owner.name, left=count(write.connection, owner))
    return True


def remove_of(connection: Connection, owner: LoginOwner) -> None:
    """Remove all codes of an account."""
    connection.execute(delete(_TABLE).where(owner.of(_TABLE)))


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
