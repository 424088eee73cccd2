"""`gatepost domain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from accounts.cli.domain_check import check
from accounts.cli.noun import Noun, Shown
from accounts.cli.options import Field, field_options, fields_of, given
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import NONE, flag_text, size_text, state_text, time_text
from accounts.http.models.domains import DomainChange
from accounts.http.resources.domains import DOMAIN as KIND

FIELDS = fields_of(DomainChange, alias_of="DOMAIN", catch_all="ADDRESS", transport="TRANSPORT")
SEARCH = Field("search", click.STRING, "Only those with TEXT in name or description.")


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "domain", one["name"]
    yield "description", one["description"]
    yield "enabled", flag_text(one["enabled"])
    yield "alias of", one["alias_of"] or NONE
    yield "catch-all", one["catch_all"] or NONE
    yield "mailboxes", _of(one["mailboxes"], one["max_mailboxes"])
    yield "aliases", _of(one["aliases"], one["max_aliases"])
    yield "DKIM keys", str(one["dkim_keys"])
    yield "largest quota", size_text(one["max_quota"])
    yield "default quota", size_text(one["default_quota"])
    yield "transport", one["transport"] or NONE
    yield "relay", flag_text(one["is_relay"])
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


def _of(count: int, most: int | None) -> str:
    return str(count) if most is None else f"{count} of {most}"


DOMAIN = Noun(
    kind=KIND,
    word="domain",
    arguments=("name",),
    name="name",
    heads=("DOMAIN", "ALIAS OF", "CATCH-ALL", "STATE", "DESCRIPTION"),
    row=lambda one: (
        one["name"],
        one["alias_of"] or "",
        one["catch_all"] or "",
        state_text(disabled=not one["enabled"], relay=one["is_relay"]),
        one["description"],
    ),
    pairs=_pairs,
)


@click.group()
def domain() -> None:
    """Add, show, change and check domains.

    The commands use the datastore that [accounts.database] in gatepost.toml names, or the API.
    """


domain.add_command(check)


@domain.command("add")
@click.argument("name")
@field_options(FIELDS)
@session_options(make=True)
def add_domain(session: CommandSession, name: str, **values: Any) -> None:
    """Add the domain NAME.

    Creates the database file if there is none yet.
    """
    made = session.one(DOMAIN.step("add", body={"name": name, **given(values)}))
    session.done(f"domain {made['name']} added", made)


DOMAIN.add_list(domain, "List the domains.", SEARCH, search="text")
DOMAIN.add_show(domain, "Show the domain NAME.")
DOMAIN.add_set(
    domain,
    "Change the domain NAME.\n\nA lower limit applies to later additions and changes.",
    *FIELDS,
)


def question(one: Shown) -> str:
    """Return a description of all that is removed with a domain."""
    return (
        f"{one['name']} with its mailboxes ({one['mailboxes']}), aliases ({one['aliases']}) and "
        f"DKIM keys ({one['dkim_keys']})"
    )


DOMAIN.add_remove(
    domain,
    "Remove the domain NAME with its mailboxes, aliases and keys.\n\nOnce it is added again, its "
    "mailboxes can be restored, for the time of `keep_deleted` in [accounts].",
    question,
)
