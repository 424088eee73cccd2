"""Indexes of SQLite with every column that a look-up reads, so that it reads one page, not two."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_INDEXES = {
    "mailbox": (
        *("address", "enabled", "may_send", "may_receive"),
        *("keep_copy", "store", "quota", "id"),
    ),
    "alias": ("address", "enabled", "expires", "members_may_send", "id"),
}


def upgrade() -> None:
    """Create the indexes."""
    if op.get_context().dialect.name == "sqlite":
        for table, columns in _INDEXES.items():
            op.create_index(f"ix_{table}_lookup", table, list(columns))


def downgrade() -> None:
    """Remove the indexes."""
    if op.get_context().dialect.name == "sqlite":
        for table in _INDEXES:
            op.drop_index(f"ix_{table}_lookup", table)
