"""Aliases of owners of mailboxes that an administrator has switched off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import FlagColumn

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; nobody knows who has switched off those of today, so that owners may."""
    op.add_column(
        "alias", sa.Column("is_locked", FlagColumn, server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    """Remove it: owners may switch on all of their aliases again."""
    op.drop_column("alias", "is_locked")
