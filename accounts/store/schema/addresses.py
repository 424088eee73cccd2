"""Tables of domains, mailboxes and aliases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)

from accounts.store.columns import Json, NumberColumn
from accounts.store.schema.parts import (
    covering,
    flag_column,
    id_column,
    not_negative,
    number_column,
    of_row,
    one_of,
    table,
    text_column,
    version_column,
)

domain = table(
    "domain",
    id_column(),
    text_column("name", unique=True),
    text_column("description", server_default=""),
    Column("alias_of", NumberColumn, ForeignKey("domain.id", ondelete="RESTRICT"), index=True),
    text_column("catch_all", nullable=True),
    flag_column("enabled", True),
    number_column("max_mailboxes", nullable=True),
    number_column("max_aliases", nullable=True),
    number_column("max_quota", nullable=True),
    number_column("default_quota", nullable=True),
    text_column("transport", nullable=True),
    flag_column("is_relay", False),
    version_column(),
    number_column("created"),
    number_column("changed"),
    number_column("disposable_aliases", server_default=text("20")),
    number_column("named_aliases", server_default=text("0")),
    text_column("named_alias_pattern", nullable=True),
    CheckConstraint("alias_of <> id", name="alias_of"),
    not_negative("max_mailboxes", "max_aliases", "max_quota", "default_quota"),
)
"""`alias_of`: each address of this domain means the same one of another. Quotas are in octets of a
mailbox; NULL is no limit. `catch_all`: the target of addresses that nobody has. The last three
columns: how many aliases owners of mailboxes may make for themselves, and of which names."""

name = table(
    "name",
    text_column("address", primary_key=True),
    text_column("kind"),
    of_row("domain", index=True),
    UniqueConstraint("address", "kind"),
    one_of("kind", "mailbox", "alias"),
    rowid=False,
)
"""Each address that is taken, so that none is both a mailbox and an alias."""


def _named(kind: str) -> list[Any]:
    """Return the columns that tie a row to its name."""
    return [
        text_column("address", unique=True),
        text_column("kind", server_default=kind),
        one_of("kind", kind),
        ForeignKeyConstraint(
            ["address", "kind"],
            ["name.address", "name.kind"],
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
    ]


mailbox = table(
    "mailbox",
    id_column(),
    of_row("domain"),
    _named("mailbox"),
    text_column("display_name", server_default=""),
    text_column("password", nullable=True),
    number_column("quota", nullable=True),
    flag_column("enabled", True),
    flag_column("may_login", True),
    flag_column("may_send", True),
    flag_column("may_receive", True),
    flag_column("keep_copy", True),
    text_column("store", nullable=True),
    version_column(),
    number_column("created"),
    number_column("changed"),
    number_column("password_changed", nullable=True),
    number_column("last_login", nullable=True),
    text_column("home", server_default=""),
    number_column("locked_until", nullable=True),
    not_negative("quota"),
    Index(None, "domain_id", "address"),
    Index(None, "store"),
    Index(
        "ix_mailbox_home",
        "home",
        unique=True,
        sqlite_where=text("home <> ''"),
        postgresql_where=text("home <> ''"),
    ),
    covering(
        "mailbox",
        *("address", "enabled", "may_send", "may_receive", "keep_copy", "store", "quota", "id"),
        *("home", "locked_until"),
    ),
)
"""`password`: a hash with its scheme before it, as {ARGON2ID}$argon2id$…; NULL lets nobody in.
`quota` in octets, NULL for no limit. `keep_copy`: whether mail that is forwarded is also kept.
`store`: the mail store that has it, NULL for the only one. `home`: the folder of its mail below the
root of the store, which no mailbox before or after it has; it stays through a change of the
address. Dovecot does not open a mailbox without one. `locked_until`: until then, nobody opens the
mailbox, because it is being moved to another store."""

mailbox_move = table(
    "mailbox_move",
    of_row("mailbox", primary_key=True),
    text_column("source"),
    text_column("target"),
    text_column("phase"),
    number_column("asked"),
    text_column("asked_by"),
    number_column("due", index=True),
    number_column("claimed", nullable=True),
    text_column("holder", nullable=True),
    number_column("failures", server_default=text("0")),
    text_column("problem", server_default=""),
    one_of("phase", "copy", "lock", "settle"),
    rowid=False,
)
"""A mailbox on its way from one store to another. `phase`: see `accounts.directory.moves`. `due`:
when the next step is to be made. `claimed`: when the process `holder` was last at work on it.
`failures` in a row, and the `problem` of the last one."""

deleted_mailbox = table(
    "deleted_mailbox",
    id_column(),
    text_column("address", index=True),
    Column("domain_id", NumberColumn, ForeignKey("domain.id", ondelete="SET NULL"), index=True),
    text_column("home", unique=True),
    text_column("store", nullable=True),
    text_column("display_name"),
    number_column("octets", nullable=True),
    number_column("removed", index=True),
    text_column("removed_by"),
    flag_column("is_due", False),
    number_column("claimed", nullable=True),
    Column("belongings", Json, nullable=False),
    not_negative("octets"),
)
"""A mailbox that was removed, and whose mail is still there. `domain_id` is NULL if its domain was
removed, too: the owner of a new domain of that name has no right to it. `octets`: the size of its
mail, NULL if it is not known. `is_due`: its mail goes as soon as possible. `claimed`: when a
process began to remove its mail. `belongings`: the rows that a restore writes again, by their
tables."""

forward = table(
    "forward",
    of_row("mailbox", primary_key=True),
    Column("position", NumberColumn, primary_key=True, autoincrement=False),
    text_column("target", index=True),
    UniqueConstraint("mailbox_id", "target"),
    rowid=False,
)
"""Addresses that the mail of a mailbox is forwarded to, from position 0."""

alias = table(
    "alias",
    id_column(),
    of_row("domain"),
    _named("alias"),
    flag_column("is_wildcard", False),
    flag_column("enabled", True),
    number_column("expires", nullable=True),
    flag_column("members_may_send", False),
    text_column("description", server_default=""),
    version_column(),
    number_column("created"),
    number_column("changed"),
    text_column("personal", nullable=True),
    flag_column("is_locked", False),
    Index(None, "domain_id", "address"),
    Index(
        "ix_alias_wildcard",
        "domain_id",
        sqlite_where=text("is_wildcard = 1"),
        postgresql_where=text("is_wildcard"),
    ),
    covering("alias", "address", "enabled", "expires", "members_may_send", "id"),
)
"""`is_wildcard`: the local part has a `*`. `members_may_send`: its targets that are mailboxes may
send as it. `personal`: named or disposable, if the owner of its only target made it.
`is_locked`: an administrator has switched such an alias off."""

alias_target = table(
    "alias_target",
    of_row("alias", primary_key=True),
    Column("position", NumberColumn, primary_key=True, autoincrement=False),
    text_column("target", index=True),
    UniqueConstraint("alias_id", "target"),
    rowid=False,
)
"""Addresses that an alias leads to, from position 0."""

sender_right = table(
    "sender_right",
    id_column(),
    of_row("mailbox"),
    text_column("sender", index=True),
    UniqueConstraint("mailbox_id", "sender"),
)
"""`sender`: an address, or `@` and a domain, that the mailbox may send as."""
