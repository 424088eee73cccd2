"""Queues of Postfix in the states of the daemons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import Json

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("daemon_state", sa.Column("queue", Json))


def downgrade() -> None:
    """Remove the column: the next report has the queue again."""
    op.drop_column("daemon_state", "queue")
