"""Snapshot `dkim_keys`: the active signing keys, with their private parts.

The key is ``key:DOMAIN/SELECTOR``. The value has `private`, the key in PEM, and its `algorithm`. If
the key cannot be decrypted, `problem` says why in place of `private`. Domains that are disabled do
not sign.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from accounts.directory.dkim_keys import purpose
from accounts.snapshots.rows import is_set, pages
from accounts.snapshots.senders import SnapshotRecord
from accounts.store import schema
from accounts.store.seal import SealError, SecretSeal

_KEY, _DOMAIN = schema.dkim_key, schema.domain


def key_records(connection: Connection, seal: SecretSeal) -> Iterator[SnapshotRecord]:
    """Yield the records in the order of their keys."""
    name, selector = _DOMAIN.c.name, _KEY.c.selector
    # "/" comes after "." and "-", so the order of the pairs is not that of the joined text
    joined = name + "/" + selector
    statement = (
        select(name, selector, _KEY.c.algorithm, _KEY.c.private, joined.label("joined"))
        .join(_DOMAIN, _DOMAIN.c.id == _KEY.c.domain_id)
        .where(_KEY.c.state == "active", is_set(_DOMAIN.c.enabled))
    )
    for page in pages(connection, statement, joined, lambda row: row.joined):
        for row in page:
            value = {"algorithm": row.algorithm}
            try:
                private = seal.open(row.private, purpose(row.name, row.selector))
                value["private"] = private.decode("ascii")
            except (SealError, ValueError) as error:
                value["problem"] = str(error)
            yield f"key:{row.joined}", value
