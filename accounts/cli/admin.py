"""`gatepost admin`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from accounts.cli.noun import Noun, Shown
from accounts.cli.options import (
    Field,
    field_options,
    fields_of,
    given,
    insist_on_change,
    password_options,
)
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import flag_text, list_text, state_text, time_text
from accounts.directory.administrators import ROLES
from accounts.http.models.administration import AdministratorChange
from accounts.http.resources.administrators import ADMINISTRATOR as KIND

FIELDS = fields_of(AdministratorChange, role=click.Choice(ROLES), domains="DOMAIN")


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "login", one["login"]
    yield "role", one["role"]
    yield "domains", "all" if one["role"] == "global" else list_text(one["domains"])
    yield "enabled", flag_text(one["enabled"])
    yield "has a password", flag_text(one["has_password"])
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


ADMIN = Noun(
    kind=KIND,
    word="administrator",
    arguments=("login",),
    name="login",
    heads=("LOGIN", "ROLE", "DOMAINS", "STATE"),
    row=lambda one: (
        one["login"],
        one["role"],
        ", ".join(one["domains"]),
        state_text(disabled=not one["enabled"], no_password=not one["has_password"]),
    ),
    pairs=_pairs,
)


def last_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--last`, which requires `--yes`."""
    return click.option(
        "--last",
        is_flag=True,
        callback=_with_yes,
        help="With --yes: allow this for the last enabled global administrator, too.",
    )(command)


def _with_yes(ctx: click.Context, _: click.Parameter, last: bool) -> bool:
    if last and not ctx.params.get("yes"):
        raise click.UsageError("--last requires --yes, because nobody can manage everything then")
    return last


_yes = click.option("--yes", "-y", is_flag=True, is_eager=True, help="With --last: do not ask.")


@click.group()
def admin() -> None:
    """Add, show and change administrators.

    There is no administrator, and no default password, until you add one. Owners manage their
    mailboxes without an entry here. The last enabled global administrator cannot be removed or
    disabled without --last. The commands use the datastore that [accounts.database] in
    gatepost.toml names, or the API.
    """


@admin.command("add")
@click.argument("login")
@password_options
@field_options(FIELDS)
@session_options(make=True)
def add_admin(
    session: CommandSession,
    login: str,
    password_file: Path | None,
    no_password: bool,
    **values: Any,
) -> None:
    """Add the administrator LOGIN.

    LOGIN is an address or a name. Without --role it is an administrator of some domains.

    Creates the database file if there is none yet.
    """
    body = {"login": login, **given(values)}
    ADMIN.add_with_password(session, body, password_file, no_password=no_password)


ADMIN.add_list(
    admin,
    "List administrators.",
    Field("search", click.STRING, "Only those with TEXT in the login."),
    search="text",
)
ADMIN.add_show(admin, "Show the administrator LOGIN.")


@admin.command("set")
@click.argument("login")
@field_options(FIELDS)
@_yes
@last_option
@session_options()
def set_admin(session: CommandSession, login: str, yes: bool, last: bool, **values: Any) -> None:
    """Change the administrator LOGIN."""
    del yes
    changes = given(values)
    insist_on_change(changes)
    made = session.one(ADMIN.step("change", [login], body=changes, query={"last": last}))
    session.done(f"administrator {made['login']} set", made)


@admin.command("password")
@click.argument("login")
@password_options
@session_options()
def change_password(
    session: CommandSession, login: str, password_file: Path | None, no_password: bool
) -> None:
    """Give the administrator LOGIN another password."""
    operation = "set-administrator-password"
    ADMIN.set_password(session, operation, login, password_file, no_password=no_password)


ADMIN.add_remove(
    admin,
    "Remove the administrator LOGIN with their tokens.",
    lambda one: f"the administrator {one['login']} with their tokens",
    last_option,
)
