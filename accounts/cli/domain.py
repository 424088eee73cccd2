"""`gatepost domain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from accounts.cli.datastore import opened
from accounts.cli.domain_check import check
from accounts.cli.options import (
    FLAG,
    Field,
    ask,
    common_options,
    field_options,
    given,
    insist_on_change,
    yes_option,
)
from accounts.cli.output import as_data, pages, print_done, print_list, print_object
from accounts.cli.values import (
    NONE,
    Number,
    OrNone,
    Size,
    flag_text,
    size_text,
    state_text,
    time_text,
)
from accounts.directory import dkim_keys, domains
from accounts.directory.domains import Domain
from accounts.store import schema
from accounts.store.transaction import Write

FIELDS = (
    Field("description", click.STRING, "What it is for."),
    Field(
        "alias_of",
        OrNone("DOMAIN"),
        "Make it an alias of another domain: its addresses are those of that domain.",
    ),
    Field("catch_all", OrNone("ADDRESS"), "Where mail for addresses goes that nobody has."),
    Field("enabled", FLAG, "Whether mail is taken for it."),
    Field("max_mailboxes", Number("NUMBER"), "Mailboxes that it may have."),
    Field("max_aliases", Number("NUMBER"), "Aliases that it may have."),
    Field("max_quota", Size("SIZE"), "Largest quota of a mailbox, as 5G."),
    Field("default_quota", Size("SIZE"), "Quota of a mailbox that is added without one."),
    Field("transport", OrNone("TRANSPORT"), "Postfix's transport, as smtp:[mx.example.org]:25."),
    Field("is_relay", FLAG, "Whether its mailboxes are on another host."),
)


@click.group()
def domain() -> None:
    """Add, show, change and check domains.

    The commands use the datastore that [accounts.database] in gatepost.toml names.
    """


domain.add_command(check)


@domain.command("add")
@click.argument("name")
@field_options(FIELDS)
@common_options
def add_domain(name: str, config: Path | None, as_json: bool, **values: Any) -> None:
    """Add the domain NAME.

    Makes the datastore in a file if there is none yet.
    """
    with opened(config, make=True) as store:
        made = store.write(lambda write: domains.add(write, name, **given(values)))
    print_done(f"domain {made.name} added", as_data(made), as_json=as_json)


@domain.command("list")
@click.option("--search", metavar="TEXT", help="Only those with TEXT in name or description.")
@common_options
def list_domains(search: str | None, config: Path | None, as_json: bool) -> None:
    """List the domains."""
    with opened(config) as store:
        print_list(
            pages(
                store,
                lambda connection, after, limit: domains.find(
                    connection, text=search, after=after, limit=limit
                ),
                lambda one: one.name,
            ),
            ("DOMAIN", "ALIAS OF", "CATCH-ALL", "STATE", "DESCRIPTION"),
            lambda one: (
                one.name,
                one.alias_of or "",
                one.catch_all or "",
                state_text(disabled=not one.enabled, relay=one.is_relay),
                one.description,
            ),
            as_data,
            as_json=as_json,
        )


@domain.command("show")
@click.argument("name")
@common_options
def show_domain(name: str, config: Path | None, as_json: bool) -> None:
    """Show the domain NAME."""
    with opened(config) as store:
        found, mailboxes, aliases = store.read(
            lambda connection: (
                one := domains.get(connection, name),
                domains.count(connection, schema.mailbox, one.id),
                domains.count(connection, schema.alias, one.id),
            )
        )
    data = as_data(found, mailboxes=mailboxes, aliases=aliases)
    print_object(data, _pairs(found, mailboxes, aliases), as_json=as_json)


@domain.command("set")
@click.argument("name")
@field_options(FIELDS)
@common_options
def set_domain(name: str, config: Path | None, as_json: bool, **values: Any) -> None:
    """Change the domain NAME.

    A limit that is lowered counts for what is added or changed from then on.
    """
    changes = given(values)
    insist_on_change(changes)
    with opened(config) as store:
        made = store.write(lambda write: domains.change(write, name, None, **changes))
    print_done(f"domain {made.name} set", as_data(made), as_json=as_json)


@domain.command("remove")
@click.argument("name")
@yes_option
@common_options
def remove_domain(name: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove the domain NAME with its mailboxes, aliases and keys.

    Mail that was delivered stays where it is.
    """
    with opened(config) as store:
        found, counted = store.rehearse(lambda write: _removed(write, name))
        ask(f"Remove {found.name} with {counted}?", yes=yes)
        store.write(lambda write: domains.remove(write, found.name, found.version))
    print_done(f"domain {found.name} removed", {"removed": found.name}, as_json=as_json)


def _removed(write: Write, name: str) -> tuple[Domain, str]:
    """Remove a domain; return what it was, and in words all that it had."""
    with write.attempt("domain.remove", name):
        found = domains.get(write.connection, name)
        mailboxes = domains.count(write.connection, schema.mailbox, found.id)
        aliases = domains.count(write.connection, schema.alias, found.id)
        keys = len(dkim_keys.find(write.connection, domain=found.name))
        domains.remove(write, found.name)
    return found, f"its mailboxes ({mailboxes}), aliases ({aliases}) and DKIM keys ({keys})"


def _pairs(one: Domain, mailboxes: int, aliases: int) -> Iterator[tuple[str, str]]:
    yield "domain", one.name
    yield "description", one.description
    yield "enabled", flag_text(one.enabled)
    yield "alias of", one.alias_of or NONE
    yield "catch-all", one.catch_all or NONE
    yield "mailboxes", _of(mailboxes, one.max_mailboxes)
    yield "aliases", _of(aliases, one.max_aliases)
    yield "largest quota", size_text(one.max_quota)
    yield "default quota", size_text(one.default_quota)
    yield "transport", one.transport or NONE
    yield "relay", flag_text(one.is_relay)
    yield "created", time_text(one.created)
    yield "changed", time_text(one.changed)


def _of(count: int, most: int | None) -> str:
    return str(count) if most is None else f"{count} of {most}"
