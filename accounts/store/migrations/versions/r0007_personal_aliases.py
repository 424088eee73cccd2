"""Aliases that owners of mailboxes make for themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import NumberColumn, TextColumn

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns."""
    for name, default in (("disposable_aliases", "20"), ("named_aliases", "0")):
        column = sa.Column(name, NumberColumn, server_default=sa.text(default), nullable=False)
        op.add_column("domain", column)
    op.add_column("domain", sa.Column("named_alias_pattern", TextColumn))
    op.add_column("alias", sa.Column("personal", TextColumn))


def downgrade() -> None:
    """Remove them: the aliases stay, and only administrators change them."""
    op.drop_column("alias", "personal")
    for name in ("named_alias_pattern", "named_aliases", "disposable_aliases"):
        op.drop_column("domain", name)
