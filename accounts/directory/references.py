"""References to an address without a foreign key: targets, catch-alls and rights."""

from __future__ import annotations

from sqlalchemy import and_, delete, exists, update

from accounts.store import schema
from accounts.store.transaction import Write


def rename(write: Write, before: str, after: str) -> None:
    """Replace the old address of a mailbox or an alias with the new one everywhere."""
    for table, owner, field in (
        (schema.alias_target, "alias_id", "target"),
        (schema.forward, "mailbox_id", "target"),
        (schema.sender_right, "mailbox_id", "sender"),
    ):
        other = table.alias("other")
        # an owner that names both keeps one of them
        has_both = exists().where(and_(other.c[owner] == table.c[owner], other.c[field] == after))
        write.connection.execute(delete(table).where(table.c[field] == before, has_both))
        write.connection.execute(
            update(table).where(table.c[field] == before).values({field: after})
        )
    domain = schema.domain
    write.connection.execute(
        update(domain).where(domain.c.catch_all == before).values(catch_all=after)
    )
