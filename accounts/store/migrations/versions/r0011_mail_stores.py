"""Locks of mailboxes, and mailboxes on their way from one mail store to another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import NumberColumn, TextColumn

revision = "0011"
down_revision = "0010"

_LOOKUP = (
    *("address", "enabled", "may_send", "may_receive"),
    *("keep_copy", "store", "quota", "id", "home"),
)


def upgrade() -> None:
    """Add the column, its indexes and the table."""
    op.add_column("mailbox", sa.Column("locked_until", NumberColumn, nullable=True))
    op.create_index("ix_mailbox_store", "mailbox", ["store"])
    _replace_lookup(*_LOOKUP, "locked_until")
    op.create_table(
        "mailbox_move",
        sa.Column("mailbox_id", NumberColumn, autoincrement=False, nullable=False),
        sa.Column("source", TextColumn, nullable=False),
        sa.Column("target", TextColumn, nullable=False),
        sa.Column("phase", TextColumn, nullable=False),
        sa.Column("asked", NumberColumn, nullable=False),
        sa.Column("asked_by", TextColumn, nullable=False),
        sa.Column("due", NumberColumn, nullable=False),
        sa.Column("claimed", NumberColumn, nullable=True),
        sa.Column("holder", TextColumn, nullable=True),
        sa.Column("failures", NumberColumn, server_default=sa.text("0"), nullable=False),
        sa.Column("problem", TextColumn, server_default="", nullable=False),
        sa.CheckConstraint(
            "phase IN ('copy', 'lock', 'settle')", name=op.f("ck_mailbox_move_phase")
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_mailbox_move_mailbox_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_mailbox_move")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mailbox_move_due", "mailbox_move", ["due"])


def downgrade() -> None:
    """Remove them. A move in progress ends: the mailbox stays where it is usable."""
    op.drop_table("mailbox_move")
    _replace_lookup(*_LOOKUP)
    op.drop_index("ix_mailbox_store", table_name="mailbox")
    op.drop_column("mailbox", "locked_until")


def _replace_lookup(*columns: str) -> None:
    if op.get_context().dialect.name == "sqlite":
        op.drop_index("ix_mailbox_lookup", table_name="mailbox")
        op.create_index("ix_mailbox_lookup", "mailbox", list(columns))
