"""The first tables."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    PrimaryKeyConstraint,
    UniqueConstraint,
    false,
    text,
    true,
)

from accounts.store.columns import (
    FlagColumn,
    Json,
    NumberColumn,
    OctetsColumn,
    ScoreColumn,
    TextColumn,
)

revision = "0001"
down_revision = None

_TABLES = (
    "token",
    "sieve_rule",
    "sender_right",
    "remote_account",
    "preference",
    "listed_sender",
    "forward",
    "app_password",
    "alias_target",
    "mailbox",
    "alias",
    "name",
    "dkim_key",
    "administrator_domain",
    "state",
    "domain",
    "audit",
    "administrator",
)
"""All tables; a table comes before those that it refers to."""

_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END",
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit "
        "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever appended to'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION gatepost_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'the audit log is only ever appended to' "
        "USING ERRCODE = 'integrity_constraint_violation'; END $$",
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION gatepost_append_only()",
    ),
}
"""In SQLite, INSERT OR REPLACE deletes without firing DELETE triggers, so it needs a third one."""


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "administrator",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("login", TextColumn, nullable=False),
        Column("password", TextColumn),
        Column("role", TextColumn, nullable=False),
        Column("enabled", FlagColumn(), server_default=true(), nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        Column("created", NumberColumn, nullable=False),
        Column("changed", NumberColumn, nullable=False),
        CheckConstraint("role IN ('global', 'domains')", name=op.f("ck_administrator_role")),
        PrimaryKeyConstraint("id", name=op.f("pk_administrator")),
        UniqueConstraint("login", name=op.f("uq_administrator_login")),
        sqlite_strict=True,
    )
    op.create_table(
        "audit",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("at", NumberColumn, nullable=False),
        Column("actor", TextColumn, nullable=False),
        Column("client", TextColumn),
        Column("action", TextColumn, nullable=False),
        Column("object", TextColumn, nullable=False),
        Column("details", Json(), nullable=False),
        PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])
    op.create_index(op.f("ix_audit_object_id"), "audit", ["object", "id"])
    op.create_table(
        "domain",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("name", TextColumn, nullable=False),
        Column("description", TextColumn, server_default="", nullable=False),
        Column("alias_of", NumberColumn),
        Column("catch_all", TextColumn),
        Column("enabled", FlagColumn(), server_default=true(), nullable=False),
        Column("max_mailboxes", NumberColumn),
        Column("max_aliases", NumberColumn),
        Column("max_quota", NumberColumn),
        Column("default_quota", NumberColumn),
        Column("transport", TextColumn),
        Column("is_relay", FlagColumn(), server_default=false(), nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        Column("created", NumberColumn, nullable=False),
        Column("changed", NumberColumn, nullable=False),
        CheckConstraint("alias_of <> id", name=op.f("ck_domain_alias_of")),
        CheckConstraint("default_quota >= 0", name=op.f("ck_domain_default_quota")),
        CheckConstraint("max_aliases >= 0", name=op.f("ck_domain_max_aliases")),
        CheckConstraint("max_mailboxes >= 0", name=op.f("ck_domain_max_mailboxes")),
        CheckConstraint("max_quota >= 0", name=op.f("ck_domain_max_quota")),
        ForeignKeyConstraint(
            ["alias_of"], ["domain.id"], name=op.f("fk_domain_alias_of"), ondelete="RESTRICT"
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_domain")),
        UniqueConstraint("name", name=op.f("uq_domain_name")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_domain_alias_of"), "domain", ["alias_of"])
    op.create_table(
        "state",
        Column("id", NumberColumn, autoincrement=False, nullable=False),
        Column("generation", NumberColumn, nullable=False),
        CheckConstraint("id = 1", name=op.f("ck_state_id")),
        PrimaryKeyConstraint("id", name=op.f("pk_state")),
        sqlite_strict=True,
    )
    op.create_table(
        "administrator_domain",
        Column("administrator_id", NumberColumn, nullable=False),
        Column("domain_id", NumberColumn, nullable=False),
        ForeignKeyConstraint(
            ["administrator_id"],
            ["administrator.id"],
            name=op.f("fk_administrator_domain_administrator_id"),
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_administrator_domain_domain_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("administrator_id", "domain_id", name=op.f("pk_administrator_domain")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_administrator_domain_domain_id"), "administrator_domain", ["domain_id"]
    )
    op.create_table(
        "dkim_key",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("domain_id", NumberColumn, nullable=False),
        Column("selector", TextColumn, nullable=False),
        Column("algorithm", TextColumn, nullable=False),
        Column("private", OctetsColumn, nullable=False),
        Column("public_record", TextColumn, nullable=False),
        Column("state", TextColumn, server_default="new", nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        Column("created", NumberColumn, nullable=False),
        Column("activated", NumberColumn),
        Column("retired", NumberColumn),
        CheckConstraint("algorithm IN ('rsa', 'ed25519')", name=op.f("ck_dkim_key_algorithm")),
        CheckConstraint("state IN ('new', 'active', 'retired')", name=op.f("ck_dkim_key_state")),
        ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name=op.f("fk_dkim_key_domain_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_dkim_key")),
        UniqueConstraint("domain_id", "selector", name=op.f("uq_dkim_key_domain_id_selector")),
        sqlite_strict=True,
    )
    op.create_index(
        "uq_dkim_key_active",
        "dkim_key",
        ["domain_id", "algorithm"],
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    )
    op.create_table(
        "name",
        Column("address", TextColumn, nullable=False),
        Column("kind", TextColumn, nullable=False),
        Column("domain_id", NumberColumn, nullable=False),
        CheckConstraint("kind IN ('mailbox', 'alias')", name=op.f("ck_name_kind")),
        ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name=op.f("fk_name_domain_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("address", name=op.f("pk_name")),
        UniqueConstraint("address", "kind", name=op.f("uq_name_address_kind")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_name_domain_id"), "name", ["domain_id"])
    op.create_table(
        "alias",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("domain_id", NumberColumn, nullable=False),
        Column("address", TextColumn, nullable=False),
        Column("kind", TextColumn, server_default="alias", nullable=False),
        Column("is_wildcard", FlagColumn(), server_default=false(), nullable=False),
        Column("enabled", FlagColumn(), server_default=true(), nullable=False),
        Column("expires", NumberColumn),
        Column("members_may_send", FlagColumn(), server_default=false(), nullable=False),
        Column("description", TextColumn, server_default="", nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        Column("created", NumberColumn, nullable=False),
        Column("changed", NumberColumn, nullable=False),
        CheckConstraint("kind IN ('alias')", name=op.f("ck_alias_kind")),
        ForeignKeyConstraint(
            ["address", "kind"],
            ["name.address", "name.kind"],
            name=op.f("fk_alias_address_kind"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name=op.f("fk_alias_domain_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_alias")),
        UniqueConstraint("address", name=op.f("uq_alias_address")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_alias_domain_id_address"), "alias", ["domain_id", "address"])
    op.create_index(
        "ix_alias_wildcard",
        "alias",
        ["domain_id"],
        sqlite_where=text("is_wildcard = 1"),
        postgresql_where=text("is_wildcard"),
    )
    op.create_table(
        "mailbox",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("domain_id", NumberColumn, nullable=False),
        Column("address", TextColumn, nullable=False),
        Column("kind", TextColumn, server_default="mailbox", nullable=False),
        Column("display_name", TextColumn, server_default="", nullable=False),
        Column("password", TextColumn),
        Column("quota", NumberColumn),
        Column("enabled", FlagColumn(), server_default=true(), nullable=False),
        Column("may_login", FlagColumn(), server_default=true(), nullable=False),
        Column("may_send", FlagColumn(), server_default=true(), nullable=False),
        Column("may_receive", FlagColumn(), server_default=true(), nullable=False),
        Column("keep_copy", FlagColumn(), server_default=true(), nullable=False),
        Column("store", TextColumn),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        Column("created", NumberColumn, nullable=False),
        Column("changed", NumberColumn, nullable=False),
        Column("password_changed", NumberColumn),
        Column("last_login", NumberColumn),
        CheckConstraint("kind IN ('mailbox')", name=op.f("ck_mailbox_kind")),
        CheckConstraint("quota >= 0", name=op.f("ck_mailbox_quota")),
        ForeignKeyConstraint(
            ["address", "kind"],
            ["name.address", "name.kind"],
            name=op.f("fk_mailbox_address_kind"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name=op.f("fk_mailbox_domain_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        UniqueConstraint("address", name=op.f("uq_mailbox_address")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_mailbox_domain_id_address"), "mailbox", ["domain_id", "address"])
    op.create_table(
        "alias_target",
        Column("alias_id", NumberColumn, nullable=False),
        Column("position", NumberColumn, autoincrement=False, nullable=False),
        Column("target", TextColumn, nullable=False),
        ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_alias_target_alias_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("alias_id", "position", name=op.f("pk_alias_target")),
        UniqueConstraint("alias_id", "target", name=op.f("uq_alias_target_alias_id_target")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_alias_target_target"), "alias_target", ["target"])
    op.create_table(
        "app_password",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("mailbox_id", NumberColumn, nullable=False),
        Column("name", TextColumn, nullable=False),
        Column("password", TextColumn, nullable=False),
        Column("protocols", TextColumn, nullable=False),
        Column("expires", NumberColumn),
        Column("created", NumberColumn, nullable=False),
        Column("last_used", NumberColumn),
        Column("last_client", TextColumn),
        ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_app_password_mailbox_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_app_password")),
        UniqueConstraint("mailbox_id", "name", name=op.f("uq_app_password_mailbox_id_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "forward",
        Column("mailbox_id", NumberColumn, nullable=False),
        Column("position", NumberColumn, autoincrement=False, nullable=False),
        Column("target", TextColumn, nullable=False),
        ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_forward_mailbox_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("mailbox_id", "position", name=op.f("pk_forward")),
        UniqueConstraint("mailbox_id", "target", name=op.f("uq_forward_mailbox_id_target")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_forward_target"), "forward", ["target"])
    op.create_table(
        "listed_sender",
        Column("mailbox_id", NumberColumn, nullable=False),
        Column("kind", TextColumn, nullable=False),
        Column("pattern", TextColumn, nullable=False),
        CheckConstraint("kind IN ('allow', 'block')", name=op.f("ck_listed_sender_kind")),
        ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_listed_sender_mailbox_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("mailbox_id", "kind", "pattern", name=op.f("pk_listed_sender")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "preference",
        Column("mailbox_id", NumberColumn, autoincrement=False, nullable=False),
        Column("greylist", FlagColumn(), server_default=true(), nullable=False),
        Column("spam_check", FlagColumn(), server_default=true(), nullable=False),
        Column("spam_junk_score", ScoreColumn),
        Column("spam_reject_score", ScoreColumn),
        Column("virus_check", FlagColumn(), server_default=true(), nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_preference_mailbox_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("mailbox_id", name=op.f("pk_preference")),
        sqlite_strict=True,
    )
    op.create_table(
        "remote_account",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("mailbox_id", NumberColumn, nullable=False),
        Column("protocol", TextColumn, nullable=False),
        Column("host", TextColumn, nullable=False),
        Column("port", NumberColumn, nullable=False),
        Column("tls", TextColumn, nullable=False),
        Column("login", TextColumn, nullable=False),
        Column("secret", OctetsColumn, nullable=False),
        Column("folder", TextColumn, server_default="INBOX", nullable=False),
        Column("destination", TextColumn),
        Column("interval", NumberColumn, nullable=False),
        Column("keep", FlagColumn(), server_default=true(), nullable=False),
        Column("enabled", FlagColumn(), server_default=true(), nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        Column("created", NumberColumn, nullable=False),
        Column("changed", NumberColumn, nullable=False),
        CheckConstraint("protocol IN ('imap', 'pop3')", name=op.f("ck_remote_account_protocol")),
        CheckConstraint("tls IN ('implicit', 'starttls')", name=op.f("ck_remote_account_tls")),
        CheckConstraint("interval > 0", name=op.f("ck_remote_account_interval")),
        CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_remote_account_port")),
        ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_remote_account_mailbox_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_remote_account")),
        UniqueConstraint(
            "mailbox_id",
            "protocol",
            "host",
            "login",
            name=op.f("uq_remote_account_mailbox_id_protocol_host_login"),
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "sender_right",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("mailbox_id", NumberColumn, nullable=False),
        Column("sender", TextColumn, nullable=False),
        ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_sender_right_mailbox_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_sender_right")),
        UniqueConstraint("mailbox_id", "sender", name=op.f("uq_sender_right_mailbox_id_sender")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_sender_right_sender"), "sender_right", ["sender"])
    op.create_table(
        "sieve_rule",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("mailbox_id", NumberColumn, nullable=False),
        Column("position", NumberColumn, nullable=False),
        Column("name", TextColumn, nullable=False),
        Column("enabled", FlagColumn(), server_default=true(), nullable=False),
        Column("rule", Json(), nullable=False),
        Column("version", NumberColumn, server_default=text("1"), nullable=False),
        ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_sieve_rule_mailbox_id"),
            ondelete="CASCADE",
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_sieve_rule")),
        UniqueConstraint("mailbox_id", "name", name=op.f("uq_sieve_rule_mailbox_id_name")),
        sqlite_strict=True,
    )
    op.create_table(
        "token",
        Column("id", NumberColumn, Identity(), nullable=False),
        Column("name", TextColumn, nullable=False),
        Column("digest", OctetsColumn, nullable=False),
        Column("scopes", TextColumn, nullable=False),
        Column("administrator_id", NumberColumn),
        Column("mailbox_id", NumberColumn),
        Column("expires", NumberColumn),
        Column("created", NumberColumn, nullable=False),
        Column("last_used", NumberColumn),
        CheckConstraint(
            "administrator_id IS NULL OR mailbox_id IS NULL", name=op.f("ck_token_owner")
        ),
        CheckConstraint("length(digest) = 32", name=op.f("ck_token_digest")),
        ForeignKeyConstraint(
            ["administrator_id"],
            ["administrator.id"],
            name=op.f("fk_token_administrator_id"),
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_token_mailbox_id"), ondelete="CASCADE"
        ),
        PrimaryKeyConstraint("id", name=op.f("pk_token")),
        UniqueConstraint("digest", name=op.f("uq_token_digest")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_token_administrator_id"), "token", ["administrator_id"])
    op.create_index(op.f("ix_token_mailbox_id"), "token", ["mailbox_id"])
    op.execute("INSERT INTO state (id, generation) VALUES (1, 0)")
    for statement in _APPEND_ONLY[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Remove the tables and all data."""
    for table in _TABLES:
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION gatepost_append_only()")
