"""Tables of rules and preferences that filter mail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, UniqueConstraint

from accounts.store.columns import Json, ScoreColumn
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


def _wishes() -> list[Column[Any]]:
    """Return the columns of preferences that the spam filter gets."""
    return [
        text_column("languages", server_default=""),
        text_column("subject_tag", nullable=True),
        Column("rule_scores", Json, nullable=False, server_default="{}"),
    ]


sieve_rule = table(
    "sieve_rule",
    id_column(),
    of_row("mailbox"),
    number_column("position"),
    text_column("name"),
    flag_column("enabled", True),
    Column("rule", Json, nullable=False),
    version_column(),
    UniqueConstraint("mailbox_id", "name"),
)
"""Filters as people make them in forms; `position` has gaps and never repeats in a mailbox."""

preference = table(
    "preference",
    of_row("mailbox", primary_key=True, autoincrement=False),
    flag_column("greylist", True),
    flag_column("spam_check", True),
    Column("spam_junk_score", ScoreColumn),
    Column("spam_reject_score", ScoreColumn),
    flag_column("virus_check", True),
    version_column(),
    _wishes(),
)
"""A mailbox without a row has the defaults; a score that is NULL is that of the domain or of the
service. `languages` have a space between; no language, no tag (NULL) and a rule without a score
are as in the domain."""

domain_preference = table(
    "domain_preference",
    of_row("domain", primary_key=True, autoincrement=False),
    Column("spam_junk_score", ScoreColumn),
    version_column(),
    _wishes(),
)
"""Defaults of the mailboxes of a domain."""

listed_sender = table(
    "listed_sender",
    of_row("mailbox", primary_key=True),
    text_column("kind", primary_key=True),
    text_column("pattern", primary_key=True),
    one_of("kind", "allow", "block"),
    rowid=False,
)
"""`pattern`: an address, or `@` and a domain."""

domain_listed_sender = table(
    "domain_listed_sender",
    of_row("domain", primary_key=True),
    text_column("kind", primary_key=True),
    text_column("pattern", primary_key=True),
    one_of("kind", "allow", "block"),
    rowid=False,
)
"""Senders that apply to all mailboxes of a domain, below those of `listed_sender`."""
