"""Tables of passwords, administrators, sessions and second factors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, UniqueConstraint

from accounts.store.columns import OctetsColumn
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

app_password = table(
    "app_password",
    id_column(),
    of_row("mailbox"),
    text_column("name"),
    text_column("password"),
    text_column("protocols"),
    number_column("expires", nullable=True),
    number_column("created"),
    number_column("last_used", nullable=True),
    text_column("last_client", nullable=True),
    UniqueConstraint("mailbox_id", "name"),
)
"""`protocols`: imap, pop3, smtp and sieve, in this order, with a space between."""

administrator = table(
    "administrator",
    id_column(),
    text_column("login", unique=True),
    text_column("password", nullable=True),
    text_column("role"),
    flag_column("enabled", True),
    version_column(),
    number_column("created"),
    number_column("changed"),
    one_of("role", "global", "domains"),
)
"""The role 'domains' has the domains of `administrator_domain`. A mailbox is its own third role."""

administrator_domain = table(
    "administrator_domain",
    of_row("administrator", primary_key=True),
    of_row("domain", primary_key=True, index=True),
    rowid=False,
)

token = table(
    "token",
    id_column(),
    text_column("name"),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    text_column("scopes"),
    of_row("administrator", nullable=True, index=True),
    of_row("mailbox", nullable=True, index=True),
    number_column("expires", nullable=True),
    number_column("created"),
    number_column("last_used", nullable=True),
    CheckConstraint("length(digest) = 32", name="digest"),
    CheckConstraint("administrator_id IS NULL OR mailbox_id IS NULL", name="owner"),
)
"""`digest`: SHA-256 of the token, which nobody keeps. `scopes`: words with a space between. One
without an owner belongs to a program."""

web_session = table(
    "web_session",
    id_column(),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    of_row("administrator", nullable=True, index=True),
    of_row("mailbox", nullable=True, index=True),
    text_column("client", nullable=True),
    text_column("browser"),
    number_column("created"),
    number_column("last_used", index=True),
    number_column("confirmed"),
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
    return [of_row("administrator", **options), of_row("mailbox", **options), owner]


totp = table(
    "totp",
    id_column(),
    _owned_by_login(once=True),
    Column("secret", OctetsColumn, nullable=False),
    number_column("last_step", server_default="0"),
    number_column("failures", server_default="0"),
    number_column("created"),
    number_column("confirmed", nullable=True),
    number_column("last_used", nullable=True),
)
"""The secret of an app that makes codes, encrypted by `accounts.store.seal`. It counts from
`confirmed` on. `last_step`: the number of the last code that was used. `failures`: wrong codes
since then."""

passkey = table(
    "passkey",
    id_column(),
    _owned_by_login(),
    text_column("name"),
    Column("credential", OctetsColumn, nullable=False, unique=True),
    Column("public_key", OctetsColumn, nullable=False),
    Column("handle", OctetsColumn, nullable=False),
    number_column("sign_count"),
    number_column("created"),
    number_column("last_used", nullable=True),
)
"""A public key of WebAuthn, in COSE, with the id that the authenticator knows it by.
`handle`: the name of the account there."""

recovery_code = table(
    "recovery_code",
    id_column(),
    _owned_by_login(),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    CheckConstraint("length(digest) = 32", name="digest"),
)
"""`digest`: SHA-256 of a code that was not used yet, and its owner."""

login_step = table(
    "login_step",
    id_column(),
    Column("digest", OctetsColumn, nullable=False, unique=True),
    _owned_by_login(),
    number_column("failures", server_default="0"),
    number_column("created", index=True),
    CheckConstraint("length(digest) = 32", name="digest"),
)
"""A login after the password, which waits for a second factor. `digest`: SHA-256 of the secret that
the browser has."""

web_challenge = table(
    "web_challenge",
    id_column(),
    Column("digest", OctetsColumn, nullable=False),
    text_column("purpose"),
    Column("challenge", OctetsColumn, nullable=False),
    number_column("created", index=True),
    UniqueConstraint("digest", "purpose"),
    CheckConstraint("length(digest) = 32", name="digest"),
    one_of("purpose", "register", "confirm", "step", "login"),
)
"""A challenge that a passkey has to sign. `digest`: SHA-256 of the secret of the browser that asked
for it."""
