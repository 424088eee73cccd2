"""States of the daemons, comparisons of domains with DNS, and exceptions from the greylist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accounts.store.columns import Json, NumberColumn, TextColumn

revision = "0008"
down_revision = "0007"


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
    op.create_table(
        "greylist_exception",
        sa.Column("id", NumberColumn, sa.Identity(), nullable=False),
        sa.Column("kind", TextColumn, nullable=False),
        sa.Column("pattern", TextColumn, nullable=False),
        sa.Column("domain_id", NumberColumn, nullable=True),
        sa.Column("note", TextColumn, nullable=False),
        sa.Column("added_by", TextColumn, nullable=False),
        sa.Column("created", NumberColumn, nullable=False),
        sa.CheckConstraint("kind IN ('client', 'sender')", name=op.f("ck_greylist_exception_kind")),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_greylist_exception_domain_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_greylist_exception")),
        sqlite_strict=True,
    )
    op.create_index("ix_greylist_exception_domain_id", "greylist_exception", ["domain_id"])
    op.create_table(
        "greylist_question",
        sa.Column("id", TextColumn, nullable=False),
        sa.Column("asked", NumberColumn, nullable=False),
        sa.Column("question", TextColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_greylist_question")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_greylist_question_asked", "greylist_question", ["asked"])
    op.create_table(
        "greylist_answer",
        sa.Column("question_id", TextColumn, nullable=False),
        sa.Column("instance", TextColumn, nullable=False),
        sa.Column("answer", TextColumn, nullable=False),
        sa.ForeignKeyConstraint(
            ["question_id"],
            ["greylist_question.id"],
            name=op.f("fk_greylist_answer_question_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("question_id", "instance", name=op.f("pk_greylist_answer")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove the tables: the daemons report again, and DNS can be asked again."""
    op.drop_table("greylist_answer")
    op.drop_table("greylist_question")
    op.drop_table("greylist_exception")
    op.drop_table("daemon_state")
    op.drop_table("domain_check")
