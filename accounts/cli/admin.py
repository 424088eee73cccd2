"""`gatepost admin`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from accounts.cli.datastore import opened
from accounts.cli.new_password import new_hash
from accounts.cli.options import (
    FLAG,
    Field,
    ask,
    common_options,
    field_options,
    given,
    insist_on_change,
    password_options,
    yes_option,
)
from accounts.cli.output import as_data, pages, print_done, print_list, print_object
from accounts.cli.values import flag_text, list_text, state_text, time_text
from accounts.directory import administrators
from accounts.directory.administrators import ROLES, Administrator
from accounts.store.transaction import Write

FIELDS = (
    Field("role", click.Choice(ROLES), "global: of everything. domains: of some domains."),
    Field("domains", click.STRING, "A domain of theirs; may be repeated.", True, "DOMAIN"),
    Field("enabled", FLAG, "Whether they may log in."),
)


@click.group()
def admin() -> None:
    """Add, show and change administrators.

    There is none, and no password, until you add one. Whoever has a mailbox administers that
    mailbox and needs no entry here. The commands use the datastore that [accounts.database] in
    gatepost.toml names.
    """


@admin.command("add")
@click.argument("login")
@password_options
@field_options(FIELDS)
@common_options
def add_admin(
    login: str,
    password_file: Path | None,
    no_password: bool,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Add the administrator LOGIN.

    LOGIN is an address or a name. Without --role it is an administrator of some domains.

    Makes the datastore in a file if there is none yet.
    """
    fields = given(values)
    with opened(config, make=True) as store:
        if not no_password:
            made = store.rehearse(lambda write: administrators.add(write, login, **fields))
            fields["password"] = new_hash(made.login, store.passwords, password_file)
        made = store.write(lambda write: administrators.add(write, login, **fields))
    print_done(f"administrator {made.login} added", as_data(made), as_json=as_json)


@admin.command("list")
@click.option("--search", metavar="TEXT", help="Only those with TEXT in the login.")
@common_options
def list_admins(search: str | None, config: Path | None, as_json: bool) -> None:
    """List administrators."""
    with opened(config) as store:
        print_list(
            pages(
                store,
                lambda connection, after, limit: administrators.find(
                    connection, text=search, after=after, limit=limit
                ),
                lambda one: one.login,
            ),
            ("LOGIN", "ROLE", "DOMAINS", "STATE"),
            lambda one: (
                one.login,
                one.role,
                ", ".join(one.domains),
                state_text(disabled=not one.enabled, no_password=one.password is None),
            ),
            as_data,
            as_json=as_json,
        )


@admin.command("show")
@click.argument("login")
@common_options
def show_admin(login: str, config: Path | None, as_json: bool) -> None:
    """Show the administrator LOGIN."""
    with opened(config) as store:
        found = store.read(lambda connection: administrators.get(connection, login))
    print_object(as_data(found), _pairs(found), as_json=as_json)


@admin.command("set")
@click.argument("login")
@field_options(FIELDS)
@common_options
def set_admin(login: str, config: Path | None, as_json: bool, **values: Any) -> None:
    """Change the administrator LOGIN."""
    changes = given(values)
    insist_on_change(changes)
    with opened(config) as store:
        made = store.write(
            lambda write: administrators.change(write, login, None, last=True, **changes)
        )
    print_done(f"administrator {made.login} set", as_data(made), as_json=as_json)


@admin.command("password")
@click.argument("login")
@password_options
@common_options
def change_password(
    login: str,
    password_file: Path | None,
    no_password: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Give the administrator LOGIN another password."""

    def found(write: Write) -> Administrator:
        with write.attempt("administrator.change", login):
            return administrators.get(write.connection, login)

    with opened(config) as store:
        one = store.rehearse(found)
        hashed = None if no_password else new_hash(one.login, store.passwords, password_file)
        made = store.write(
            lambda write: administrators.change(write, one.login, None, password=hashed)
        )
    text = f"password of {made.login} {'removed' if no_password else 'set'}"
    print_done(text, as_data(made), as_json=as_json)


@admin.command("remove")
@click.argument("login")
@yes_option
@common_options
def remove_admin(login: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove the administrator LOGIN with their tokens."""

    def rehearsed(write: Write) -> Administrator:
        with write.attempt("administrator.remove", login):
            found = administrators.get(write.connection, login)
            administrators.remove(write, found.login, last=True)
            return found

    with opened(config) as store:
        found = store.rehearse(rehearsed)
        ask(f"Remove the administrator {found.login} with their tokens?", yes=yes)
        store.write(
            lambda write: administrators.remove(write, found.login, found.version, last=True)
        )
    print_done(f"administrator {found.login} removed", {"removed": found.login}, as_json=as_json)


def _pairs(one: Administrator) -> Iterator[tuple[str, str]]:
    yield "login", one.login
    yield "role", one.role
    yield "domains", "all" if one.role == "global" else list_text(one.domains)
    yield "enabled", flag_text(one.enabled)
    yield "has a password", flag_text(one.password is not None)
    yield "created", time_text(one.created)
    yield "changed", time_text(one.changed)
