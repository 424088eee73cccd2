"""`gatepost token`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from accounts.cli.datastore import opened
from accounts.cli.options import ask, common_options, yes_option
from accounts.cli.output import as_data, pages, print_done, print_list, print_object
from accounts.cli.values import Moment, date_text, time_text
from accounts.directory import tokens
from accounts.directory.tokens import Token
from accounts.store.transaction import Write


@click.group()
def token() -> None:
    """Add and remove tokens of the API.

    A token is drawn here and printed once: the datastore has only its digest. It cannot be changed.
    The commands use the datastore that [accounts.database] in gatepost.toml names.
    """


@token.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="What it may do, as domains:read; may be repeated.",
)
@click.option("--admin", metavar="LOGIN", help="The administrator that it belongs to.")
@click.option("--user", metavar="ADDRESS", help="The mailbox that it belongs to.")
@click.option("--expires", type=Moment("TIME"), help="When it ends: 2027-01-31, or 30d from now.")
@common_options
def add_token(
    name: str,
    scopes: Sequence[str],
    admin: str | None,
    user: str | None,
    expires: object,
    config: Path | None,
    as_json: bool,
) -> None:
    """Add a token, and print it once.

    Without --admin and --user it belongs to a program.
    """
    until = expires if isinstance(expires, int) else None
    with opened(config) as store:
        made, text = store.write(
            lambda write: tokens.add(
                write, name, scopes=scopes, administrator=admin, mailbox=user, expires=until
            )
        )
    print_done(text, as_data(made, has_id=True, token=text), as_json=as_json)
    if not as_json:
        click.echo(f"(token {made.id}; it is not shown again)", err=True)


@token.command("list")
@click.option("--admin", metavar="LOGIN", help="Only those of an administrator.")
@click.option("--user", metavar="ADDRESS", help="Only those of a mailbox.")
@common_options
def list_tokens(admin: str | None, user: str | None, config: Path | None, as_json: bool) -> None:
    """List tokens by their numbers."""
    with opened(config) as store:
        print_list(
            pages(
                store,
                lambda connection, after, limit: tokens.find(
                    connection, administrator=admin, mailbox=user, after=after, limit=limit
                ),
                lambda one: one.id,
            ),
            ("NO.", "NAME", "OF", "SCOPES", "EXPIRES", "LAST USED"),
            lambda one: (
                str(one.id),
                one.name,
                _owner(one),
                " ".join(one.scopes),
                date_text(one.expires),
                date_text(one.last_used),
            ),
            lambda one: as_data(one, has_id=True),
            as_json=as_json,
        )


@token.command("show")
@click.argument("number", type=int)
@common_options
def show_token(number: int, config: Path | None, as_json: bool) -> None:
    """Show what is known of the token NUMBER."""
    with opened(config) as store:
        found = store.read(lambda connection: tokens.get(connection, number))
    print_object(as_data(found, has_id=True), _pairs(found), as_json=as_json)


@token.command("remove")
@click.argument("number", type=int)
@yes_option
@common_options
def remove_token(number: int, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove the token NUMBER: it is worth nothing from now on."""

    def rehearsed(write: Write) -> Token:
        with write.attempt("token.remove", number):
            found = tokens.get(write.connection, number)
            tokens.remove(write, number)
            return found

    with opened(config) as store:
        found = store.rehearse(rehearsed)
        ask(f"Remove the token {number}, {found.name}, of {_owner(found)}?", yes=yes)
        store.write(lambda write: tokens.remove(write, number))
    print_done(f"token {number} removed", {"removed": number}, as_json=as_json)


def _owner(one: Token) -> str:
    return one.administrator or one.mailbox or "a program"


def _pairs(one: Token) -> Iterator[tuple[str, str]]:
    yield "number", str(one.id)
    yield "name", one.name
    yield "of", _owner(one)
    yield "scopes", " ".join(one.scopes)
    yield "expires", time_text(one.expires)
    yield "created", time_text(one.created)
    yield "last used", time_text(one.last_used)
