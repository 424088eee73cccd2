"""Tables of keys, remote accounts, the daemons and the audit log."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint, text

from accounts.store.columns import Json, NumberColumn, OctetsColumn, TextColumn
from accounts.store.schema.parts import (
    flag_column,
    id_column,
    number_column,
    of_row,
    one_of,
    table,
    text_column,
    version_column,
)

state = table(
    "state",
    Column("id", NumberColumn, primary_key=True, autoincrement=False),
    number_column("generation"),
    CheckConstraint("id = 1", name="id"),
)
"""One row. `generation` grows by one with each transaction that changes what is looked up. That of
a restored backup is at least the time in seconds."""

dkim_key = table(
    "dkim_key",
    id_column(),
    of_row("domain"),
    text_column("selector"),
    text_column("algorithm"),
    Column("private", OctetsColumn, nullable=False),
    text_column("public_record"),
    text_column("state", server_default="new"),
    version_column(),
    number_column("created"),
    number_column("activated", nullable=True),
    number_column("retired", nullable=True),
    UniqueConstraint("domain_id", "selector"),
    one_of("algorithm", "rsa", "ed25519"),
    one_of("state", "new", "active", "retired"),
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

remote_account = table(
    "remote_account",
    id_column(),
    of_row("mailbox"),
    text_column("protocol"),
    text_column("host"),
    number_column("port"),
    text_column("tls"),
    text_column("login"),
    Column("secret", OctetsColumn, nullable=False),
    text_column("folder", server_default="INBOX"),
    text_column("destination", nullable=True),
    number_column("interval"),
    flag_column("keep", True),
    flag_column("enabled", True),
    version_column(),
    number_column("created"),
    number_column("changed"),
    UniqueConstraint("mailbox_id", "protocol", "host", "login"),
    one_of("protocol", "imap", "pop3"),
    one_of("tls", "implicit", "starttls"),
    CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    CheckConstraint("interval > 0", name="interval"),
)
"""`secret`: the password there, encrypted by `accounts.store.seal`. `interval` in seconds.
`destination`: the folder that mail is delivered to, NULL for where the filters put it."""

domain_check = table(
    "domain_check",
    of_row("domain", primary_key=True),
    number_column("at"),
    text_column("level"),
    Column("wrong", Json, nullable=False),
    rowid=False,
)
"""The last comparison of a domain with DNS: when, how bad the worst finding is, and the findings
that are not right. It is no change of the data."""

greylist_exception = table(
    "greylist_exception",
    id_column(),
    text_column("kind"),
    text_column("pattern"),
    of_row("domain", nullable=True, index=True),
    text_column("note"),
    text_column("added_by"),
    number_column("created"),
    one_of("kind", "client", "sender"),
)
"""Clients and senders whose mail is not delayed: for the recipients of a domain, or for all (NULL).
"""

greylist_question = table(
    "greylist_question",
    text_column("id", primary_key=True),
    number_column("asked", index=True),
    text_column("question"),
    rowid=False,
)
"""Questions on their way to the policy servers, for a minute. They are no data."""

greylist_answer = table(
    "greylist_answer",
    Column(
        "question_id",
        TextColumn,
        ForeignKey("greylist_question.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    text_column("instance", primary_key=True),
    text_column("answer"),
    rowid=False,
)
"""The answers of the policy servers to these questions, in JSON."""

daemon_state = table(
    "daemon_state",
    text_column("component", primary_key=True),
    text_column("instance", primary_key=True),
    text_column("version"),
    number_column("started"),
    number_column("heard", index=True),
    Column("problems", Json, nullable=False),
    Column("remarks", Json, nullable=False),
    Column("queue", Json),
    rowid=False,
)
"""The last report of each daemon on each host. It is no change of the data. `queue` is that of a
Postfix: see `gatepost.reports.queue_state`."""

audit = table(
    "audit",
    id_column(),
    number_column("at", index=True),
    text_column("actor"),
    text_column("client", nullable=True),
    text_column("action"),
    text_column("object"),
    Column("details", Json, nullable=False),
    Index(None, "object", "id"),
)
"""Each change: when, who, from where, and what of what. Triggers refuse UPDATE and DELETE."""
