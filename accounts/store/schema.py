"""Tables of the datastore, for SQLite and PostgreSQL.

Ids are numbers. Times are whole seconds since the epoch in UTC. Addresses and domain names are
stored as `accounts.address` writes them: domains as A-labels, all in lower case. `version` grows
with each change of a row; a change names the version that its author saw.

A row of `name` owns its mailbox or its alias: to remove either, remove its name; to rename it,
change its name. The foreign keys do the rest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    Table,
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

CHANNEL = "gatepost_accounts"
"""The channel of PostgreSQL's NOTIFY; the payload is the generation."""

DIALECT = "dialect"
"""The key in `info` of what one database alone has: Alembic does not see `ddl_if`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[Any]:
    # SQLite numbers an INTEGER PRIMARY KEY itself, and has no IDENTITY
    return Column("id", NumberColumn, Identity(), primary_key=True)


def _of(table: str, name: str | None = None, **options: Any) -> Column[Any]:
    """Return a column that refers to a row of another table and goes with it."""
    reference = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(name or f"{table}_id", NumberColumn, reference, **{"nullable": False, **options})


def _number(name: str, **options: Any) -> Column[Any]:
    return Column(name, NumberColumn, **{"nullable": False, **options})


def _text(name: str, **options: Any) -> Column[Any]:
    return Column(name, TextColumn, **{"nullable": False, **options})


def _flag(name: str, default: bool) -> Column[Any]:
    return Column(name, FlagColumn, nullable=False, server_default=true() if default else false())


def _version() -> Column[Any]:
    return Column("version", NumberColumn, nullable=False, server_default=text("1"))


def _wishes() -> list[Column[Any]]:
    """Return the columns of preferences that the spam filter gets."""
    return [
        _text("languages", server_default=""),
        _text("subject_tag", nullable=True),
        Column("rule_scores", Json, nullable=False, server_default="{}"),
    ]


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _not_negative(*columns: str) -> list[CheckConstraint]:
    # a NULL passes a CHECK
    return [CheckConstraint(f"{column} >= 0", name=column) for column in columns]


def _table(name: str, *items: Any, rowid: bool = True) -> Table:
    flat = [one for item in items for one in (item if isinstance(item, list) else [item])]
    return Table(name, metadata, *flat, sqlite_strict=True, sqlite_with_rowid=rowid)


def _covering(table: str, *columns: str) -> Index:
    """Return an index of SQLite with every column that `accounts.sources.sqlite` reads.

    Thus a look-up reads only the index. PostgreSQL would read the row all the same, unless the
    table was vacuumed since.
    """
    index = Index(f"ix_{table}_lookup", *columns, info={DIALECT: "sqlite"})
    return index.ddl_if(dialect="sqlite")


state = _table(
    "state",
    Column("id", NumberColumn, primary_key=True, autoincrement=False),
    _number("generation"),
    CheckConstraint("id = 1", name="id"),
)
"""One row. `generation` grows by one with each transaction that changes what is looked up. That of
a restored backup is at least the time in seconds."""

domain = _table(
    "domain",
    _id(),
    _text("name", unique=True),
    _text("description", server_default=""),
    Column("alias_of", NumberColumn, ForeignKey("domain.id", ondelete="RESTRICT"), index=True),
    _text("catch_all", nullable=True),
    _flag("enabled", True),
    _number("max_mailboxes", nullable=True),
    _number("max_aliases", nullable=True),
    _number("max_quota", nullable=True),
    _number("default_quota", nullable=True),
    _text("transport", nullable=True),
    _flag("is_relay", False),
    _version(),
    _number("created"),
    _number("changed"),
    _number("disposable_aliases", server_default=text("20")),
    _number("named_aliases", server_default=text("0")),
    _text("named_alias_pattern", nullable=True),
    CheckConstraint("alias_of <> id", name="alias_of"),
    _not_negative("max_mailboxes", "max_aliases", "max_quota", "default_quota"),
)
"""`alias_of`: each address of this domain means the same one of another. Quotas are in octets of a
mailbox; NULL is no limit. `catch_all`: the target of addresses that nobody has. The last three
columns: how many aliases owners of mailboxes may make for themselves, and of which names."""

name = _table(
    "name",
    _text("address", primary_key=True),
    _text("kind"),
    _of("domain", index=True),
    UniqueConstraint("address", "kind"),
    _one_of("kind", "mailbox", "alias"),
    rowid=False,
)
"""Each address that is taken, so that none is both a mailbox and an alias."""


def _named(kind: str) -> list[Any]:
    """Return the columns that tie a row to its name."""
    return [
        _text("address", unique=True),
        _text("kind", server_default=kind),
        _one_of("kind", kind),
        ForeignKeyConstraint(
            ["address", "kind"],
            ["name.address", "name.kind"],
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
    ]


mailbox = _table(
    "mailbox",
    _id(),
    _of("domain"),
    _named("mailbox"),
    _text("display_name", server_default=""),
    _text("password", nullable=True),
    _number("quota", nullable=True),
    _flag("enabled", True),
    _flag("may_login", True),
    _flag("may_send", True),
    _flag("may_receive", True),
    _flag("keep_copy", True),
    _text("store", nullable=True),
    _version(),
    _number("created"),
    _number("changed"),
    _number("password_changed", nullable=True),
    _number("last_login", nullable=True),
    _text("home", server_default=""),
    _not_negative("quota"),
    Index(None, "domain_id", "address"),
    Index(
        "ix_mailbox_home",
        "home",
        unique=True,
        sqlite_where=text("home <> ''"),
        postgresql_where=text("home <> ''"),
    ),
    _covering(
        "mailbox",
        *("address", "enabled", "may_send", "may_receive", "keep_copy", "store", "quota", "id"),
        "home",
    ),
)
"""`password`: a hash with its scheme before it, as {ARGON2ID}$argon2id$…; NULL lets nobody in.
`quota` in octets, NULL for no limit. `keep_copy`: whether mail that is forwarded is also kept.
`store`: the mail store that has it, NULL for the only one. `home`: the folder of its mail below the
root of the store, which no mailbox before or after it has; it stays through a change of the
address. Dovecot does not open a mailbox without one."""

deleted_mailbox = _table(
    "deleted_mailbox",
    _id(),
    _text("address", index=True),
    Column("domain_id", NumberColumn, ForeignKey("domain.id", ondelete="SET NULL"), index=True),
    _text("home", unique=True),
    _text("store", nullable=True),
    _text("display_name"),
    _number("octets", nullable=True),
    _number("removed", index=True),
    _text("removed_by"),
    _flag("is_due", False),
    _number("claimed", nullable=True),
    Column("belongings", Json, nullable=False),
    _not_negative("octets"),
)
"""A mailbox that was removed, and whose mail is still there. `domain_id` is NULL if its domain was
removed, too: the owner of a new domain of that name has no right to it. `octets`: the size of its
mail, NULL if it is not known. `is_due`: its mail goes as soon as possible. `claimed`: when a
process began to remove its mail. `belongings`: the rows that a restore writes again, by their
tables."""

forward = _table(
    "forward",
    _of("mailbox", primary_key=True),
    Column("position", NumberColumn, primary_key=True, autoincrement=False),
    _text("target", index=True),
    UniqueConstraint("mailbox_id", "target"),
    rowid=False,
)
"""Addresses that the mail of a mailbox is forwarded to, from position 0."""

alias = _table(
    "alias",
    _id(),
    _of("domain"),
    _named("alias"),
    _flag("is_wildcard", False),
    _flag("enabled", True),
    _number("expires", nullable=True),
    _flag("members_may_send", False),
    _text("description", server_default=""),
    _version(),
    _number("created"),
    _number("changed"),
    _text("personal", nullable=True),
    Index(None, "domain_id", "address"),
    Index(
        "ix_alias_wildcard",
        "domain_id",
        sqlite_where=text("is_wildcard = 1"),
        postgresql_where=text("is_wildcard"),
    ),
    _covering("alias", "address", "enabled", "expires", "members_may_send", "id"),
)
"""`is_wildcard`: the local part has a `*`. `members_may_send`: its targets that are mailboxes may
send as it. `personal`: named or disposable, if the owner of its only target made it."""

alias_target = _table(
    "alias_target",
    _of("alias", primary_key=True),
    Column("position", NumberColumn, primary_key=True, autoincrement=False),
    _text("target", index=True),
    UniqueConstraint("alias_id", "target"),
    rowid=False,
)
"""Addresses that an alias leads to, from position 0."""

sender_right = _table(
    "sender_right",
    _id(),
    _of("mailbox"),
    _text("sender", index=True),
    UniqueConstraint("mailbox_id", "sender"),
)
"""`sender`: an address, or `@` and a domain, that the mailbox may send as."""

app_password = _table(
    "app_password",
    _id(),
    _of("mailbox"),
    _text("name"),
    _text("password"),
    _text("protocols"),
    _number("expires", nullable=True),
    _number("created"),
    _number("last_used", nullable=True),
    _text("last_client", nullable=True),
    UniqueConstraint("mailbox_id", "name"),
)
"""`protocols`: imap, pop3, smtp and sieve, in this order, with a space between."""

sieve_rule = _table(
    "sieve_rule",
    _id(),
    _of("mailbox"),
    _number("position"),
    _text("name"),
    _flag("enabled", True),
    Column("rule", Json, nullable=False),
    _version(),
    UniqueConstraint("mailbox_id", "name"),
)
"""Filters as people make them in forms; `position` has gaps and never repeats in a mailbox."""

preference = _table(
    "preference",
    _of("mailbox", primary_key=True, autoincrement=False),
    _flag("greylist", True),
    _flag("spam_check", True),
    Column("spam_junk_score", ScoreColumn),
    Column("spam_reject_score", ScoreColumn),
    _flag("virus_check", True),
    _version(),
    _wishes(),
)
"""A mailbox without a row has the defaults; a score that is NULL is that of the domain or of the
service. `languages` have a space between; no language, no tag (NULL) and a rule without a score
are as in the domain."""

domain_preference = _table(
    "domain_preference",
    _of("domain", primary_key=True, autoincrement=False),
    Column("spam_junk_score", ScoreColumn),
    _version(),
    _wishes(),
)
"""Defaults of the mailboxes of a domain."""

listed_sender = _table(
    "listed_sender",
    _of("mailbox", primary_key=True),
    _text("kind", primary_key=True),
    _text("pattern", primary_key=True),
    _one_of("kind", "allow", "block"),
    rowid=False,
)
"""`pattern`: an address, or `@` and a domain."""

domain_listed_sender = _table(
    "domain_listed_sender",
    _of("domain", primary_key=True),
    _text("kind", primary_key=True),
    _text("pattern", primary_key=True),
    _one_of("kind", "allow", "block"),
    rowid=False,
)
"""Senders that apply to all mailboxes of a domain, below those of `listed_sender`."""

dkim_key = _table(
    "dkim_key",
    _id(),
    _of("domain"),
    _text("selector"),
    _text("algorithm"),
    Column("private", OctetsColumn, nullable=False),
    _text("public_record"),
    _text("state", server_default="new"),
    _version(),
    _number("created"),
    _number("activated", nullable=True),
    _number("retired", nullable=True),
    UniqueConstraint("domain_id", "selector"),
    _one_of("algorithm", "rsa", "ed25519"),
    _one_of("state", "new", "active", "retired"),
    Index(
        "uq_dkim_key_active",
        "domain_id",
        "algorithm",
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
)
"""`private`: a key in PEM, encrypted by `accounts.store.seal`. A domain signs with one key of each
algorithm at most."""

remote_account = _table(
    "remote_account",
    _id(),
    _of("mailbox"),
    _text("protocol"),
    _text("host"),
    _number("port"),
    _text("tls"),
    _text("login"),
    Column("secret", OctetsColumn, nullable=False),
    _text("folder", server_default="INBOX"),
    _text("destination", nullable=True),
    _number("interval"),
    _flag("keep", True),
    _flag("enabled", True),
    _version(),
    _number("created"),
    _number("changed"),
    UniqueConstraint("mailbox_id", "protocol", "host", "login"),
    _one_of("protocol", "imap", "pop3"),
    _one_of("tls", "implicit", "starttls"),
    CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    CheckConstraint("interval > 0", name="interval"),
)
"""`secret`: the password there, encrypted by `accounts.store.seal`. `interval` in seconds.
`destination`: the folder that mail is delivered to, NULL for where the filters put it."""

administrator = _table(
    "administrator",
    _id(),
    _text("login", unique=True),
    _text("password", nullable=True),
    _text("role"),
    _flag("enabled", True),
    _version(),
    _number("created"),
    _number("changed"),
    _one_of("role", "global", "domains"),
)
"""The role 'domains' has the domains of `administrator_domain`. A mailbox is its own third role."""

administrator_domain = _table(
    "administrator_domain",
    _of("administrator", primary_key=True),
    _of("domain", primary_key=True, index=True),
    rowid=False,
)

token = _table(
    "token",
    _id(),
    _text("name"),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    _text("scopes"),
    _of("administrator", nullable=True, index=True),
    _of("mailbox", nullable=True, index=True),
    _number("expires", nullable=True),
    _number("created"),
    _number("last_used", nullable=True),
    CheckConstraint("length(digest) = 32", name="digest"),
    CheckConstraint("administrator_id IS NULL OR mailbox_id IS NULL", name="owner"),
)
"""`digest`: SHA-256 of the token, which nobody keeps. `scopes`: words with a space between. One
without an owner belongs to a program."""

web_session = _table(
    "web_session",
    _id(),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    _of("administrator", nullable=True, index=True),
    _of("mailbox", nullable=True, index=True),
    _text("client", nullable=True),
    _text("browser"),
    _number("created"),
    _number("last_used", index=True),
    _number("confirmed"),
    CheckConstraint("length(digest) = 32", name="digest"),
    CheckConstraint("(administrator_id IS NULL) <> (mailbox_id IS NULL)", name="owner"),
)
"""A login in the web pages. `digest`: SHA-256 of the secret that the browser has. `client` and
`browser`: where it began, and how the browser calls itself. `confirmed`: when the password was last
given."""


def _owned_by_login(*, once: bool = False) -> list[Any]:
    """Return the two columns for the owner of a login, of which one is NULL."""
    options: dict[str, Any] = {"nullable": True, "unique" if once else "index": True}
    owner = CheckConstraint("(administrator_id IS NULL) <> (mailbox_id IS NULL)", name="owner")
    return [_of("administrator", **options), _of("mailbox", **options), owner]


totp = _table(
    "totp",
    _id(),
    _owned_by_login(once=True),
    Column("secret", OctetsColumn, nullable=False),
    _number("last_step", server_default="0"),
    _number("failures", server_default="0"),
    _number("created"),
    _number("confirmed", nullable=True),
    _number("last_used", nullable=True),
)
"""The secret of an app that makes codes, encrypted by `accounts.store.seal`. It counts from
`confirmed` on. `last_step`: the number of the last code that was used. `failures`: wrong codes
since then."""

passkey = _table(
    "passkey",
    _id(),
    _owned_by_login(),
    _text("name"),
    Column("credential", OctetsColumn, nullable=False, unique=True),
    Column("public_key", OctetsColumn, nullable=False),
    Column("handle", OctetsColumn, nullable=False),
    _number("sign_count"),
    _number("created"),
    _number("last_used", nullable=True),
)
"""A public key of WebAuthn, in COSE, with the id that the authenticator knows it by.
`handle`: the name of the account there."""

recovery_code = _table(
    "recovery_code",
    _id(),
    _owned_by_login(),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    CheckConstraint("length(digest) = 32", name="digest"),
)
"""`digest`: SHA-256 of a code that was not used yet, and its owner."""

login_step = _table(
    "login_step",
    _id(),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    _owned_by_login(),
    _number("failures", server_default="0"),
    _number("created", index=True),
    CheckConstraint("length(digest) = 32", name="digest"),
)
"""A login after the password, which waits for a second factor. `digest`: SHA-256 of the secret that
the browser has."""

web_challenge = _table(
    "web_challenge",
    _id(),
    Column("digest", OctetsColumn, nullable=False),
    _text("purpose"),
    Column("challenge", OctetsColumn, nullable=False),
    _number("created", index=True),
    UniqueConstraint("digest", "purpose"),
    CheckConstraint("length(digest) = 32", name="digest"),
    _one_of("purpose", "register", "confirm", "step", "login"),
)
"""A challenge that a passkey has to sign. `digest`: SHA-256 of the secret of the browser that asked
for it."""

domain_check = _table(
    "domain_check",
    _of("domain", primary_key=True),
    _number("at"),
    _text("level"),
    Column("wrong", Json, nullable=False),
    rowid=False,
)
"""The last comparison of a domain with DNS: when, how bad the worst finding is, and the findings
that are not right. It is no change of the data."""

greylist_exception = _table(
    "greylist_exception",
    _id(),
    _text("kind"),
    _text("pattern"),
    _of("domain", nullable=True, index=True),
    _text("note"),
    _text("added_by"),
    _number("created"),
    _one_of("kind", "client", "sender"),
)
"""Clients and senders whose mail is not delayed: for the recipients of a domain, or for all (NULL).
"""

greylist_question = _table(
    "greylist_question",
    _text("id", primary_key=True),
    _number("asked", index=True),
    _text("question"),
    rowid=False,
)
"""Questions on their way to the policy servers, for a minute. They are no data."""

greylist_answer = _table(
    "greylist_answer",
    Column(
        "question_id",
        TextColumn,
        ForeignKey("greylist_question.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    _text("instance", primary_key=True),
    _text("answer"),
    rowid=False,
)
"""The answers of the policy servers to these questions, in JSON."""

daemon_state = _table(
    "daemon_state",
    _text("component", primary_key=True),
    _text("instance", primary_key=True),
    _text("version"),
    _number("started"),
    _number("heard", index=True),
    Column("problems", Json, nullable=False),
    Column("remarks", Json, nullable=False),
    rowid=False,
)
"""The last report of each daemon on each host. It is no change of the data."""

audit = _table(
    "audit",
    _id(),
    _number("at", index=True),
    _text("actor"),
    _text("client", nullable=True),
    _text("action"),
    _text("object"),
    Column("details", Json, nullable=False),
    Index(None, "object", "id"),
)
"""Each change: when, who, from where, and what of what. Triggers refuse UPDATE and DELETE."""
