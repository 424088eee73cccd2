"""Folders of mailboxes, and mailboxes that were removed.

The mail of the mailboxes that are there stays where it is: in a folder named after the address.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_LOOKUP = (
    *("address", "enabled", "may_send", "may_receive"),
    *("keep_copy", "store", "quota", "id"),
)
# A local part has no "@".
_HOMES = {
    "sqlite": "UPDATE mailbox SET home = substr(address, instr(address, '@') + 1) || '/'"
    " || substr(address, 1, instr(address, '@') - 1)",
    "postgresql": "UPDATE mailbox SET home = split_part(address, '@', 2) || '/'"
    " || split_part(address, '@', 1)",
}


def upgrade() -> None:
    """Add the column and the table."""
    dialect = op.get_context().dialect.name
    is_sqlite = dialect == "sqlite"
    number = sa.Integer() if is_sqlite else sa.BigInteger()
    text = sa.Text() if is_sqlite else sa.Text(collation="C")
    flag = sa.Integer() if is_sqlite else sa.Boolean()

    op.add_column("mailbox", sa.Column("home", text, server_default="", nullable=False))
    op.execute(_HOMES[dialect])
    is_named = sa.text("home <> ''")
    op.create_index(
        "ix_mailbox_home",
        "mailbox",
        ["home"],
        unique=True,
        sqlite_where=is_named,
        postgresql_where=is_named,
    )
    if is_sqlite:
        op.drop_index("ix_mailbox_lookup", table_name="mailbox")
        op.create_index("ix_mailbox_lookup", "mailbox", [*_LOOKUP, "home"])

    op.create_table(
        "deleted_mailbox",
        sa.Column("id", number, sa.Identity(), nullable=False),
        sa.Column("address", text, nullable=False),
        sa.Column("domain_id", number, nullable=True),
        sa.Column("home", text, nullable=False),
        sa.Column("store", text, nullable=True),
        sa.Column("display_name", text, nullable=False),
        sa.Column("octets", number, nullable=True),
        sa.Column("removed", number, nullable=False),
        sa.Column("removed_by", text, nullable=False),
        sa.Column("is_due", flag, server_default=sa.false(), nullable=False),
        sa.Column("claimed", number, nullable=True),
        sa.Column("belongings", sa.Text() if is_sqlite else sa.JSON(), nullable=False),
        sa.CheckConstraint("octets >= 0", name=op.f("ck_deleted_mailbox_octets")),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_deleted_mailbox_domain_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_mailbox")),
        sa.UniqueConstraint("home", name=op.f("uq_deleted_mailbox_home")),
        sqlite_strict=True,
    )
    for column in ("address", "domain_id", "removed"):
        op.create_index(f"ix_deleted_mailbox_{column}", "deleted_mailbox", [column])


def downgrade() -> None:
    """Remove them. Nothing then tells where the mail of removed mailboxes is."""
    op.drop_table("deleted_mailbox")
    if op.get_context().dialect.name == "sqlite":
        op.drop_index("ix_mailbox_lookup", table_name="mailbox")
        op.create_index("ix_mailbox_lookup", "mailbox", list(_LOOKUP))
    op.drop_index("ix_mailbox_home", table_name="mailbox")
    op.drop_column("mailbox", "home")
