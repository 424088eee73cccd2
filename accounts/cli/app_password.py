"""`gatepost app-password`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from accounts.cli.noun import Noun, Shown
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import NONE, TimeParameter, date_text, time_text
from accounts.directory.app_passwords import PROTOCOLS
from accounts.http.resources.access_to_mail import APP_PASSWORD as KIND


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "app password", one["name"]
    yield "of", one["mailbox"]
    yield "protocols", " ".join(one["protocols"])
    yield "expires", time_text(one["expires"])
    yield "created", time_text(one["created"])
    yield "last used", time_text(one["last_used"])
    yield "last client", one["last_client"] or NONE


APP_PASSWORD = Noun(
    kind=KIND,
    word="app password",
    arguments=("address", "name"),
    name="name",
    owner="mailbox",
    heads=("NAME", "PROTOCOLS", "EXPIRES", "LAST USED", "FROM"),
    row=lambda one: (
        one["name"],
        " ".join(one["protocols"]),
        date_text(one["expires"]),
        date_text(one["last_used"]),
        one["last_client"] or "",
    ),
    pairs=_pairs,
)


@click.group("app-password")
def app_password() -> None:
    """Add and remove passwords for one program.

    An app password is generated here, is for one program of a user, and can be removed
    individually. It cannot be changed. The commands use the datastore that [accounts.database] in
    gatepost.toml names, or the API.
    """


@app_password.command("add")
@click.argument("address")
@click.argument("name")
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(PROTOCOLS),
    multiple=True,
    help="The protocol that it is valid for; may be repeated. By default all.",
)
@click.option(
    "--expires", type=TimeParameter("TIME"), help="When it expires: 2027-01-31, or 30d from now."
)
@session_options()
def add_app_password(
    session: CommandSession, address: str, name: str, protocols: Sequence[str], expires: object
) -> None:
    """Add an app password NAME to ADDRESS.

    It is generated for you, and printed once.
    """
    until = expires if isinstance(expires, int) else None
    body = {"name": name, "protocols": list(protocols or PROTOCOLS), "expires": until}
    made = session.one(APP_PASSWORD.step("add", [address], body=body))
    text = made.pop("password")
    session.done(text, {**made, "new_password": text})
    if not session.as_json:
        click.echo("(it is not shown again)", err=True)


APP_PASSWORD.add_list(app_password, "List the app passwords of the mailbox ADDRESS.")
APP_PASSWORD.add_show(
    app_password,
    "Show an app password, without the password itself.\n\nNAME is one of the mailbox ADDRESS.",
)
APP_PASSWORD.add_remove(
    app_password,
    "Remove the app password NAME of ADDRESS.\n\nPrograms that use it can no longer log in.",
)
