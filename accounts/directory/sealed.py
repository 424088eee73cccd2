"""Encryption of all secrets of the datastore again, after a new key was put into the key file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table, select, update

from accounts.directory import dkim_keys, remote_accounts, totp_secrets
from accounts.store import schema
from accounts.store.seal import SealError, SecretSeal
from accounts.store.transaction import Write

AT_ONCE = 500
"""Deleted mailboxes that are read at once: a domain may have had a million."""

_KEPT = schema.deleted_mailbox


def reseal(write: Write, seal: SecretSeal) -> int:
    """Encrypt secrets that have an older key with the current one; return their number.

    Those of deleted mailboxes are included: a restore brings them back. Raises `SealError` if one
    of them needs a key that the file does not have; then none is changed.
    """
    count = sum(_of_table(write, seal, *one) for one in _present(write))
    count += _of_deleted(write, seal)
    if count:
        write.audit("secrets.reseal", "secrets", count=count)
    return count


def _present(write: Write) -> Iterator[tuple[Table, str, int, bytes, str]]:
    """Yield the place of each secret in a table, the secret, and its purpose."""
    key, account, totp = schema.dkim_key, schema.remote_account, schema.totp
    rows = write.connection.execute(
        select(key.c.id, key.c.private, key.c.selector, schema.domain.c.name).join_from(
            key, schema.domain
        )
    ).all()
    for one in rows:
        yield key, "private", one.id, one.private, dkim_keys.purpose(one.name, one.selector)
    for there in write.connection.execute(select(account)).all():
        purpose = remote_accounts.purpose(there.protocol, there.host, there.login)
        yield account, "secret", there.id, there.secret, purpose
    for number, secret in write.connection.execute(select(totp.c.id, totp.c.secret)).all():
        yield totp, "secret", number, secret, totp_secrets.PURPOSE


def _of_table(
    write: Write, seal: SecretSeal, table: Table, column: str, row: int, sealed: bytes, purpose: str
) -> int:
    """Encrypt one secret if it has an older key; return 1 if so."""
    if seal.is_present(sealed):
        return 0
    # a secret that another transaction has changed meanwhile stays as it is
    which = (table.c.id == row, table.c[column] == sealed)
    closed = seal.close(seal.open(sealed, purpose), purpose)
    return write.connection.execute(update(table).where(*which).values({column: closed})).rowcount


def _of_deleted(write: Write, seal: SecretSeal) -> int:
    """Encrypt the secrets of deleted mailboxes; return the number of those with an older key."""
    count, last = 0, -1
    while True:
        rows = write.connection.execute(
            select(_KEPT.c.id, _KEPT.c.address, _KEPT.c.belongings)
            .where(_KEPT.c.id > last)
            .order_by(_KEPT.c.id)
            .limit(AT_ONCE)
        ).all()
        if not rows:
            return count
        for row in rows:
            try:
                changed = sum(_of_row(seal, *one) for one in _kept(row.belongings))
            except SealError as error:
                raise SealError(f"the deleted mailbox {row.address}: {error}") from None
            if changed:
                which = _KEPT.c.id == row.id
                write.connection.execute(
                    update(_KEPT).where(which).values(belongings=row.belongings)
                )
            count += changed
        last = rows[-1].id


def _kept(belongings: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rows with a secret in the record of a deleted mailbox, and their purpose."""
    for row in belongings.get(schema.remote_account.name) or ():
        yield row, remote_accounts.purpose(row["protocol"], row["host"], row["login"])
    for row in belongings.get(schema.totp.name) or ():
        yield row, totp_secrets.PURPOSE


def _of_row(seal: SecretSeal, row: dict[str, Any], purpose: str) -> int:
    sealed = base64.b64decode(row["secret"])
    if seal.is_present(sealed):
        return 0
    row["secret"] = base64.b64encode(seal.close(seal.open(sealed, purpose), purpose)).decode()
    return 1
