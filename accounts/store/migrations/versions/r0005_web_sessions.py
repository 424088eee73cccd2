"""Sessions of the web pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table."""
    is_sqlite = op.get_context().dialect.name == "sqlite"
    number = sa.Integer() if is_sqlite else sa.BigInteger()
    text = sa.Text() if is_sqlite else sa.Text(collation="C")

    op.create_table(
        "web_session",
        sa.Column("id", number, sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("administrator_id", number, nullable=True),
        sa.Column("mailbox_id", number, nullable=True),
        sa.Column("client", text, nullable=True),
        sa.Column("browser", text, nullable=False),
        sa.Column("created", number, nullable=False),
        sa.Column("last_used", number, nullable=False),
        sa.Column("confirmed", number, nullable=False),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_web_session_digest")),
        sa.CheckConstraint(
            "(administrator_id IS NULL) <> (mailbox_id IS NULL)",
            name=op.f("ck_web_session_owner"),
        ),
        sa.ForeignKeyConstraint(
            ["administrator_id"],
            ["administrator.id"],
            name=op.f("fk_web_session_administrator_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_web_session_mailbox_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_web_session_digest")),
        sqlite_strict=True,
    )
    for column in ("administrator_id", "mailbox_id", "last_used"):
        op.create_index(f"ix_web_session_{column}", "web_session", [column])


def downgrade() -> None:
    """Remove the table: all sessions end."""
    op.drop_table("web_session")
