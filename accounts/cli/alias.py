"""`gatepost alias`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from accounts.cli.noun import Noun, Shown
from accounts.cli.options import Field, field_options, fields_of, given, insist_on_change
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import date_text, flag_text, list_text, time_text
from accounts.http.models.mailboxes import AliasChange
from accounts.http.resources.aliases import ALIAS as KIND

FIELDS = tuple(field for field in fields_of(AliasChange) if field.name != "targets")

_TARGETS = (
    *(field for field in fields_of(AliasChange, targets="ADDRESS") if field.name == "targets"),
    Field("add_target", click.STRING, "A target to add.", True, "ADDRESS"),
    Field("remove_target", click.STRING, "One less.", True, "ADDRESS"),
)


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "address", one["address"]
    yield "leads to", list_text(one["targets"])
    yield "description", one["description"]
    yield "enabled", flag_text(one["enabled"])
    yield "expires", time_text(one["expires"])
    yield "members may send", flag_text(one["members_may_send"])
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


ALIAS = Noun(
    kind=KIND,
    word="alias",
    arguments=("address",),
    name="address",
    heads=("ADDRESS", "LEADS TO", "ENABLED", "EXPIRES", "DESCRIPTION"),
    row=lambda one: (
        one["address"],
        ", ".join(one["targets"]),
        flag_text(one["enabled"]),
        date_text(one["expires"]),
        one["description"],
    ),
    pairs=_pairs,
)


@click.group()
def alias() -> None:
    """Add, show and change aliases.

    An alias leads to other addresses. A * in its name stands for any characters: *@example.org,
    or sales-*@example.org. The commands use the datastore that [accounts.database] in gatepost.toml
    names, or the API.
    """


@alias.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@field_options(FIELDS)
@session_options()
def add_alias(session: CommandSession, address: str, targets: Sequence[str], **values: Any) -> None:
    """Add the alias ADDRESS that leads to TARGETS."""
    body = {"address": address, "targets": list(targets), **given(values)}
    made = session.one(ALIAS.step("add", body=body))
    session.done(f"alias {made['address']} added", made)


ALIAS.add_list(
    alias,
    "List aliases.",
    Field("domain", click.STRING, "Only those in this domain."),
    Field("search", click.STRING, "Only those with TEXT in address or description."),
    Field("target", click.STRING, "Only those that lead to this address.", metavar="ADDRESS"),
    search="text",
)
ALIAS.add_show(alias, "Show the alias ADDRESS.")


@alias.command("set")
@click.argument("address")
@field_options((*FIELDS, *_TARGETS))
@session_options()
def set_alias(session: CommandSession, address: str, **values: Any) -> None:
    """Change the alias ADDRESS."""
    changes = given(values)
    insist_on_change(changes)
    for option in ("add_target", "remove_target"):
        if option in changes:
            changes[f"{option}s"] = changes.pop(option)
    if "targets" in changes and not changes.keys().isdisjoint(("add_targets", "remove_targets")):
        raise click.UsageError("--targets replaces all targets: it excludes the other two options")
    made = session.one(ALIAS.step("change", [address], body=changes))
    session.done(f"alias {made['address']} set", made)


@alias.command("rename")
@click.argument("address")
@click.argument("new")
@session_options()
def rename_alias(session: CommandSession, address: str, new: str) -> None:
    """Give the alias ADDRESS the address NEW.

    All references to the old address follow.
    """
    made = session.one(ALIAS.step("rename", [address], body={"address": new}))
    session.done(f"alias {made['address']} renamed", made)


ALIAS.add_remove(
    alias,
    "Remove the alias ADDRESS.",
    lambda one: f"{one['address']}, which leads to {', '.join(one['targets'])}",
)
