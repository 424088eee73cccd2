"""`gatepost alias`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from accounts.address import fold_local_part
from accounts.cli.datastore import Datastore, opened
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
from accounts.cli.values import Moment, date_text, flag_text, list_text, time_text
from accounts.directory import aliases, fields
from accounts.directory.aliases import Alias
from accounts.store.errors import Invalid
from accounts.store.transaction import Write

FIELDS = (
    Field("description", click.STRING, "What it is for."),
    Field("enabled", FLAG, "Whether it is in use."),
    Field("expires", Moment("TIME"), "When it ends: 2027-01-31, or 30d from now."),
    Field("members_may_send", FLAG, "Whether its targets that are mailboxes may send as it."),
)

_TARGETS = (
    Field("targets", click.STRING, "An address it leads to; may be repeated.", True, "ADDRESS"),
    Field("add_target", click.STRING, "A further one.", True, "ADDRESS"),
    Field("remove_target", click.STRING, "One less.", True, "ADDRESS"),
)


@click.group()
def alias() -> None:
    """Add, show and change aliases.

    An alias leads to other addresses. A * in its name stands for any characters: *@example.org,
    or sales-*@example.org. The commands use the datastore that [accounts.database] in gatepost.toml
    names.
    """


@alias.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@field_options(FIELDS)
@common_options
def add_alias(
    address: str, targets: Sequence[str], config: Path | None, as_json: bool, **values: Any
) -> None:
    """Add the alias ADDRESS that leads to TARGETS."""
    with opened(config) as store:
        made = store.write(
            lambda write: aliases.add(write, address, targets=targets, **given(values))
        )
    print_done(f"alias {made.address} added", as_data(made), as_json=as_json)


@alias.command("list")
@click.option("--domain", help="Only those of this domain.")
@click.option("--search", metavar="TEXT", help="Only those with TEXT in address or description.")
@click.option("--target", metavar="ADDRESS", help="Only those that lead to this address.")
@common_options
def list_aliases(
    domain: str | None,
    search: str | None,
    target: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """List aliases."""
    with opened(config) as store:
        print_aliases(store, domain, search, target, as_json=as_json)


def print_aliases(
    store: Datastore,
    domain: str | None = None,
    search: str | None = None,
    target: str | None = None,
    *,
    as_json: bool,
) -> None:
    """Print the aliases of a domain, or all of them."""
    print_list(
        pages(
            store,
            lambda connection, after, limit: aliases.find(
                connection, domain=domain, text=search, target=target, after=after, limit=limit
            ),
            lambda one: one.address,
        ),
        ("ADDRESS", "LEADS TO", "ENABLED", "EXPIRES", "DESCRIPTION"),
        lambda one: (
            one.address,
            ", ".join(one.targets),
            flag_text(one.enabled),
            date_text(one.expires),
            one.description,
        ),
        as_data,
        as_json=as_json,
    )


@alias.command("show")
@click.argument("address")
@common_options
def show_alias(address: str, config: Path | None, as_json: bool) -> None:
    """Show the alias ADDRESS."""
    with opened(config) as store:
        found = store.read(lambda connection: aliases.get(connection, address))
    print_object(as_data(found), _pairs(found), as_json=as_json)


@alias.command("set")
@click.argument("address")
@field_options((*FIELDS, *_TARGETS))
@common_options
def set_alias(address: str, config: Path | None, as_json: bool, **values: Any) -> None:
    """Change the alias ADDRESS."""
    changes = given(values)
    insist_on_change(changes)
    with opened(config) as store:
        made = store.write(lambda write: _changed(write, address, changes))
    print_done(f"alias {made.address} set", as_data(made), as_json=as_json)


@alias.command("rename")
@click.argument("address")
@click.argument("new")
@common_options
def rename_alias(address: str, new: str, config: Path | None, as_json: bool) -> None:
    """Give the alias ADDRESS the address NEW.

    Whatever names the old address names the new one.
    """
    with opened(config) as store:
        made = store.write(lambda write: aliases.rename(write, address, new))
    print_done(f"alias {made.address} renamed", as_data(made), as_json=as_json)


@alias.command("remove")
@click.argument("address")
@yes_option
@common_options
def remove_alias(address: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove the alias ADDRESS."""
    with opened(config) as store:
        removed = remove(store, address, yes=yes)
    print_done(f"alias {removed} removed", {"removed": removed}, as_json=as_json)


def remove(store: Datastore, address: str, *, yes: bool) -> str:
    """Remove an alias; return its address."""

    def rehearsed(write: Write) -> Alias:
        with write.attempt("alias.remove", address):
            found = aliases.get(write.connection, address)
            aliases.remove(write, found.address)
            return found

    found = store.rehearse(rehearsed)
    ask(f"Remove {found.address}, which leads to {', '.join(found.targets)}?", yes=yes)
    store.write(lambda write: aliases.remove(write, found.address, found.version))
    return found.address


def without(before: Alias, others: Sequence[str]) -> list[str]:
    """Return the targets of an alias without some; raises `Invalid` for one that it lacks."""
    left = list(before.targets)
    for other in others:
        wanted = fields.target("targets", other)
        local, _, domain = wanted.rpartition("@")
        # a target in a domain of ours is stored in lower case
        found = next(
            (one for one in (wanted, f"{fold_local_part(local)}@{domain}") if one in left), ""
        )
        if not found:
            raise Invalid("targets", f"{before.address} does not lead to {wanted}.")
        left.remove(found)
    return left


def _changed(write: Write, address: str, changes: dict[str, Any]) -> Alias:
    more, others = changes.pop("add_target", ()), changes.pop("remove_target", ())
    with write.attempt("alias.change", address):
        if more or others:
            if "targets" in changes:
                raise click.UsageError("--targets replaces all: it goes with no other of them")
            before = aliases.get(write.connection, address)
            kept = without(before, others)
            changes["targets"] = [*kept, *(fields.target("targets", one) for one in more)]
        return aliases.change(write, address, None, **changes)


def _pairs(one: Alias) -> Iterator[tuple[str, str]]:
    yield "address", one.address
    yield "leads to", list_text(one.targets)
    yield "description", one.description
    yield "enabled", flag_text(one.enabled)
    yield "expires", time_text(one.expires)
    yield "members may send", flag_text(one.members_may_send)
    yield "created", time_text(one.created)
    yield "changed", time_text(one.changed)
