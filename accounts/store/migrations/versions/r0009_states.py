"""States of the daemons, and comparisons of domains with DNS."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import Json, NumberColumn, TextColumn

revision = "0009"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "domain_check",
        sa.Column("domain_id", NumberColumn, autoincrement=False, nullable=False),
        sa.Column("at", NumberColumn, nullable=False),
        sa.Column("level", TextColumn, nullable=False),
        sa.Column("wrong", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_domain_check_domain_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("domain_id", name=op.f("pk_domain_check")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daemon_state",
        sa.Column("component", TextColumn, nullable=False),
        sa.Column("instance", TextColumn, nullable=False),
        sa.Column("version", TextColumn, nullable=False),
        sa.Column("started", NumberColumn, nullable=False),
        sa.Column("heard", NumberColumn, nullable=False),
        sa.Column("problems", Json, nullable=False),
        sa.Column("remarks", Json, nullable=False),
        sa.PrimaryKeyConstraint("component", "instance", name=op.f("pk_daemon_state")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_daemon_state_heard", "daemon_state", ["heard"])


def downgrade() -> None:
    """Remove the tables: the daemons report again, and DNS can be asked again."""
    op.drop_table("daemon_state")
    op.drop_table("domain_check")
