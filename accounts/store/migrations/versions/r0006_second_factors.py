"""Second factors of logins in the web pages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables."""
    is_sqlite = op.get_context().dialect.name == "sqlite"
    number = sa.Integer() if is_sqlite else sa.BigInteger()
    text = sa.Text() if is_sqlite else sa.Text(collation="C")

    def make(table: str, *parts: Any, once: bool = False) -> None:
        owners = ("administrator", "mailbox")
        unique = [
            sa.UniqueConstraint(f"{one}_id", name=op.f(f"uq_{table}_{one}_id"))
            for one in owners
            if once
        ]
        op.create_table(
            table,
            sa.Column("id", number, sa.Identity(), nullable=False),
            *(sa.Column(f"{one}_id", number, nullable=True) for one in owners),
            *parts,
            *unique,
            sa.CheckConstraint(
                "(administrator_id IS NULL) <> (mailbox_id IS NULL)",
                name=op.f(f"ck_{table}_owner"),
            ),
            *(
                sa.ForeignKeyConstraint(
                    [f"{one}_id"],
                    [f"{one}.id"],
                    name=op.f(f"fk_{table}_{one}_id"),
                    ondelete="CASCADE",
                )
                for one in owners
            ),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
            sqlite_strict=True,
        )
        if not once:
            for one in owners:
                op.create_index(f"ix_{table}_{one}_id", table, [f"{one}_id"])

    def digested(table: str) -> sa.CheckConstraint:
        return sa.CheckConstraint("length(digest) = 32", name=op.f(f"ck_{table}_digest"))

    def column(name: str, kind: Any, **options: Any) -> sa.Column[Any]:
        return sa.Column(name, kind, **{"nullable": False, **options})

    make(
        "totp",
        column("secret", sa.LargeBinary()),
        column("last_step", number, server_default="0"),
        column("failures", number, server_default="0"),
        column("created", number),
        column("confirmed", number, nullable=True),
        column("last_used", number, nullable=True),
        once=True,
    )
    make(
        "passkey",
        column("name", text),
        column("credential", sa.LargeBinary()),
        column("public_key", sa.LargeBinary()),
        column("handle", sa.LargeBinary()),
        column("sign_count", number),
        column("created", number),
        column("last_used", number, nullable=True),
        sa.UniqueConstraint("credential", name=op.f("uq_passkey_credential")),
    )
    make(
        "recovery_code",
        column("digest", sa.LargeBinary()),
        sa.UniqueConstraint("digest", name=op.f("uq_recovery_code_digest")),
        digested("recovery_code"),
    )
    make(
        "login_step",
        column("digest", sa.LargeBinary()),
        column("failures", number, server_default="0"),
        column("created", number),
        sa.UniqueConstraint("digest", name=op.f("uq_login_step_digest")),
        digested("login_step"),
    )
    op.create_index("ix_login_step_created", "login_step", ["created"])
    op.create_table(
        "web_challenge",
        sa.Column("id", number, sa.Identity(), nullable=False),
        column("digest", sa.LargeBinary()),
        column("purpose", text),
        column("challenge", sa.LargeBinary()),
        column("created", number),
        digested("web_challenge"),
        sa.CheckConstraint(
            "purpose IN ('register', 'confirm', 'step', 'login')",
            name=op.f("ck_web_challenge_purpose"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_challenge")),
        sa.UniqueConstraint("digest", "purpose", name=op.f("uq_web_challenge_digest_purpose")),
        sqlite_strict=True,
    )
    op.create_index("ix_web_challenge_created", "web_challenge", ["created"])


def downgrade() -> None:
    """Remove the tables: a password alone is enough again."""
    for table in ("web_challenge", "login_step", "recovery_code", "passkey", "totp"):
        op.drop_table(table)
