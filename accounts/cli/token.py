"""`gatepost token`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from accounts.cli.noun import Noun, Shown
from accounts.cli.options import Field
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import TimeParameter, date_text, time_text
from accounts.http.resources.tokens import TOKEN as KIND


def _owner(one: Shown) -> str:
    return str(one["administrator"] or one["mailbox"] or "a program")


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "number", str(one["id"])
    yield "name", one["name"]
    yield "of", _owner(one)
    yield "scopes", " ".join(one["scopes"])
    yield "expires", time_text(one["expires"])
    yield "created", time_text(one["created"])
    yield "last used", time_text(one["last_used"])


TOKEN = Noun(
    kind=KIND,
    word="token",
    arguments=("number",),
    name="id",
    heads=("NO.", "NAME", "OF", "SCOPES", "EXPIRES", "LAST USED"),
    row=lambda one: (
        str(one["id"]),
        one["name"],
        _owner(one),
        " ".join(one["scopes"]),
        date_text(one["expires"]),
        date_text(one["last_used"]),
    ),
    pairs=_pairs,
)


@click.group()
def token() -> None:
    """Add and remove tokens of the API.

    A token is generated here and printed once: the datastore has only its digest. It cannot be
    changed. The commands use the datastore that [accounts.database] in gatepost.toml names, or the
    API.
    """


@token.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="A scope, such as domains:read; may be repeated.",
)
@click.option("--admin", metavar="LOGIN", help="The administrator who owns it.")
@click.option("--user", metavar="ADDRESS", help="The mailbox that owns it.")
@click.option(
    "--expires", type=TimeParameter("TIME"), help="When it expires: 2027-01-31, or 30d from now."
)
@session_options()
def add_token(
    session: CommandSession,
    name: str,
    scopes: Sequence[str],
    admin: str | None,
    user: str | None,
    expires: object,
) -> None:
    """Add a token, and print it once.

    Without --admin and --user it belongs to a program.
    """
    body = {
        "name": name,
        "scopes": list(scopes),
        "administrator": admin,
        "mailbox": user,
        "expires": expires if isinstance(expires, int) else None,
    }
    made = session.one(TOKEN.step("add", body=body))
    session.done(made["token"], made)
    if not session.as_json:
        click.echo(f"(token {made['id']}; it is not shown again)", err=True)


TOKEN.add_list(
    token,
    "List tokens by their numbers.",
    Field("admin", click.STRING, "Only those of an administrator.", metavar="LOGIN"),
    Field("user", click.STRING, "Only those of a mailbox.", metavar="ADDRESS"),
    admin="administrator",
    user="mailbox",
)
TOKEN.add_show(token, "Show the token NUMBER, without its text.")
TOKEN.add_remove(
    token,
    "Remove the token NUMBER, which is not valid from now on.",
    lambda one: f"the token {one['id']}, {one['name']}, of {_owner(one)}",
)
