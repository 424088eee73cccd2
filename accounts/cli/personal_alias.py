"""`gatepost personal-alias`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from accounts.cli.noun import Noun, Shown
from accounts.cli.options import field_options, fields_of, given
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import date_text, flag_text, time_text
from accounts.http.models.mailboxes import PersonalAliasChange
from accounts.http.resources.personal_aliases import PERSONAL_ALIAS as KIND

FIELDS = fields_of(PersonalAliasChange)
_FIRST = tuple(field for field in FIELDS if field.name != "enabled")


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "address", one["address"]
    yield "of", one["mailbox"]
    yield "kind", one["kind"]
    yield "description", one["description"]
    yield "enabled", flag_text(one["enabled"]) + (" (locked)" if one["is_locked"] else "")
    yield "expires", time_text(one["expires"])
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


PERSONAL_ALIAS = Noun(
    kind=KIND,
    word="personal alias",
    arguments=("address", "alias"),
    name="address",
    owner="mailbox",
    heads=("ALIAS", "KIND", "ENABLED", "EXPIRES", "DESCRIPTION"),
    row=lambda one: (
        one["address"],
        one["kind"],
        flag_text(one["enabled"]),
        date_text(one["expires"]),
        one["description"],
    ),
    pairs=_pairs,
)


@click.group("personal-alias")
def personal_alias() -> None:
    """Add, show and change aliases of the owner of a mailbox.

    The domain says how many there may be, and which names: see --disposable-aliases,
    --named-aliases and --named-alias-pattern of `gatepost domain set`. The commands use the
    datastore that [accounts.database] in gatepost.toml names, or the API.
    """


@personal_alias.command("add")
@click.argument("address")
@click.argument("name", required=False)
@field_options(_FIRST)
@session_options()
def add_personal_alias(
    session: CommandSession, address: str, name: str | None, **values: Any
) -> None:
    """Add an alias of the mailbox ADDRESS.

    NAME is the part before the @. Without it the alias is disposable: its name is drawn.
    """
    body = {"name": name, **given(values)}
    made = session.one(PERSONAL_ALIAS.step("add", [address], body=body))
    session.done(f"alias {made['address']} added", made)


PERSONAL_ALIAS.add_list(personal_alias, "List the personal aliases of the mailbox ADDRESS.")
PERSONAL_ALIAS.add_show(personal_alias, "Show the personal alias ALIAS of the mailbox ADDRESS.")
PERSONAL_ALIAS.add_set(
    personal_alias, "Change the personal alias ALIAS of the mailbox ADDRESS.", *FIELDS
)
PERSONAL_ALIAS.add_remove(personal_alias, "Remove the personal alias ALIAS of the mailbox ADDRESS.")
