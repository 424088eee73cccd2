"""Preferences about spam: languages, scores of rules and a tag, and the same for domains."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import Json, NumberColumn, ScoreColumn, TextColumn

revision = "0004"
down_revision = "0003"

_WISHES = ("languages", "subject_tag", "rule_scores")


def upgrade() -> None:
    """Add the columns and the tables."""
    for column in _wishes():
        op.add_column("preference", column)
    op.create_table(
        "domain_preference",
        sa.Column("domain_id", NumberColumn, autoincrement=False, nullable=False),
        sa.Column("spam_junk_score", ScoreColumn),
        sa.Column("version", NumberColumn, server_default=sa.text("1"), nullable=False),
        *_wishes(),
        _of_domain("domain_preference"),
        sa.PrimaryKeyConstraint("domain_id", name=op.f("pk_domain_preference")),
        sqlite_strict=True,
    )
    op.create_table(
        "domain_listed_sender",
        sa.Column("domain_id", NumberColumn, nullable=False),
        sa.Column("kind", TextColumn, nullable=False),
        sa.Column("pattern", TextColumn, nullable=False),
        sa.CheckConstraint("kind IN ('allow', 'block')", name=op.f("ck_domain_listed_sender_kind")),
        _of_domain("domain_listed_sender"),
        sa.PrimaryKeyConstraint(
            "domain_id", "kind", "pattern", name=op.f("pk_domain_listed_sender")
        ),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove them with their values."""
    op.drop_table("domain_listed_sender")
    op.drop_table("domain_preference")
    for column in reversed(_WISHES):
        op.drop_column("preference", column)


def _wishes() -> list[sa.Column[object]]:
    return [
        sa.Column("languages", TextColumn, server_default="", nullable=False),
        sa.Column("subject_tag", TextColumn),
        sa.Column("rule_scores", Json, server_default="{}", nullable=False),
    ]


def _of_domain(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_domain_id")
    return sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=name, ondelete="CASCADE")
