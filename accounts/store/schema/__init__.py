"""Tables of the datastore, for SQLite and PostgreSQL.

Ids are numbers. Times are whole seconds since the epoch in UTC. Addresses and domain names are
stored as `accounts.address` writes them: domains as A-labels, all in lower case. `version` grows
with each change of a row; a change names the version that its author saw.

A row of `name` owns its mailbox or its alias: to remove either, remove its name; to rename it,
change its name. The foreign keys do the rest.
"""

from __future__ import annotations

from accounts.store.schema.addresses import (
    alias,
    alias_target,
    deleted_mailbox,
    domain,
    forward,
    mailbox,
    mailbox_move,
    name,
    sender_right,
)
from accounts.store.schema.filters import (
    domain_listed_sender,
    domain_preference,
    listed_sender,
    preference,
    sieve_rule,
)
from accounts.store.schema.logins import (
    administrator,
    administrator_domain,
    app_password,
    login_step,
    passkey,
    recovery_code,
    token,
    totp,
    web_challenge,
    web_session,
)
from accounts.store.schema.parts import CHANNEL, DIALECT, metadata
from accounts.store.schema.system import (
    audit,
    daemon_state,
    dkim_key,
    domain_check,
    greylist_answer,
    greylist_exception,
    greylist_question,
    remote_account,
    state,
)

__all__ = [
    "CHANNEL",
    "DIALECT",
    "administrator",
    "administrator_domain",
    "alias",
    "alias_target",
    "app_password",
    "audit",
    "daemon_state",
    "deleted_mailbox",
    "dkim_key",
    "domain",
    "domain_check",
    "domain_listed_sender",
    "domain_preference",
    "forward",
    "greylist_answer",
    "greylist_exception",
    "greylist_question",
    "listed_sender",
    "login_step",
    "mailbox",
    "mailbox_move",
    "metadata",
    "name",
    "passkey",
    "preference",
    "recovery_code",
    "remote_account",
    "sender_right",
    "sieve_rule",
    "state",
    "token",
    "totp",
    "web_challenge",
    "web_session",
]
