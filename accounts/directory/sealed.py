"""Encryption of all secrets of the datastore again, after a new key was put into the key file."""

from __future__ import annotations

from sqlalchemy import select, update

from accounts.directory import dkim_keys, remote_accounts, totp_secrets
from accounts.store import schema
from accounts.store.seal import SecretSeal
from accounts.store.transaction import Write


def reseal(write: Write, seal: SecretSeal) -> int:
    """Encrypt secrets that have an older key with the current one; return their number.

    Raises `SealError` if one of them needs a key that the file does not have; then none is changed.
    """
    key, account, domain = schema.dkim_key, schema.remote_account, schema.domain
    found = [
        (key, "private", row.id, row.private, dkim_keys.purpose(row.name, row.selector))
        for row in write.connection.execute(
            select(key.c.id, key.c.private, key.c.selector, domain.c.name).join_from(key, domain)
        )
    ]
    found += [
        (
            account,
            "secret",
            row.id,
            row.secret,
            remote_accounts.purpose(row.protocol, row.host, row.login),
        )
        for row in write.connection.execute(select(account))
    ]
    totp = schema.totp
    found += [
        (totp, "secret", row.id, row.secret, totp_secrets.PURPOSE)
        for row in write.connection.execute(select(totp.c.id, totp.c.secret))
    ]
    old = [one for one in found if not seal.is_present(one[3])]
    for table, column, row, sealed, purpose in old:
        closed = seal.close(seal.open(sealed, purpose), purpose)
        write.connection.execute(update(table).where(table.c.id == row).values({column: closed}))
    if old:
        write.audit("secrets.reseal", "secrets", count=len(old))
    return len(old)
