"""`gatepost app-password`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from accounts.cli.datastore import opened
from accounts.cli.options import ask, common_options, yes_option
from accounts.cli.output import as_data, print_done, print_list, print_object
from accounts.cli.values import Moment, date_text, time_text
from accounts.directory import app_passwords
from accounts.directory.app_passwords import PROTOCOLS, AppPassword
from accounts.passwords import new_app_password
from accounts.store.transaction import Write


@click.group("app-password")
def app_password() -> None:
    """Add and remove passwords for one program.

    An app password is drawn here, lets one program of a person in, and is removed alone. It cannot
    be changed. The commands use the datastore that [accounts.database] in gatepost.toml names.
    """


@app_password.command("add")
@click.argument("address")
@click.argument("name")
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(PROTOCOLS),
    multiple=True,
    help="What it lets in; may be repeated. By default all.",
)
@click.option("--expires", type=Moment("TIME"), help="When it ends: 2027-01-31, or 30d from now.")
@common_options
def add_app_password(
    address: str,
    name: str,
    protocols: Sequence[str],
    expires: object,
    config: Path | None,
    as_json: bool,
) -> None:
    """Add an app password NAME to ADDRESS.

    It is drawn here, and printed once.
    """
    text, hashed = new_app_password()
    until = expires if isinstance(expires, int) else None
    with opened(config) as store:
        made = store.write(
            lambda write: app_passwords.add(
                write,
                address,
                name,
                password=hashed,
                protocols=protocols or PROTOCOLS,
                expires=until,
            )
        )
    print_done(text, as_data(made, new_password=text), as_json=as_json)
    if not as_json:
        click.echo("(it is not shown again)", err=True)


@app_password.command("list")
@click.argument("address")
@common_options
def list_app_passwords(address: str, config: Path | None, as_json: bool) -> None:
    """List the app passwords of the mailbox ADDRESS."""
    with opened(config) as store:
        found = store.read(lambda connection: app_passwords.find(connection, address))
    print_list(
        found,
        ("NAME", "PROTOCOLS", "EXPIRES", "LAST USED", "FROM"),
        lambda one: (
            one.name,
            " ".join(one.protocols),
            date_text(one.expires),
            date_text(one.last_used),
            one.last_client or "",
        ),
        as_data,
        as_json=as_json,
    )


@app_password.command("show")
@click.argument("address")
@click.argument("name")
@common_options
def show_app_password(address: str, name: str, config: Path | None, as_json: bool) -> None:
    """Show what is known of an app password.

    NAME is one of the mailbox ADDRESS. The password itself is not known.
    """
    with opened(config) as store:
        found = store.read(lambda connection: app_passwords.get(connection, address, name))
    print_object(as_data(found), _pairs(found), as_json=as_json)


@app_password.command("remove")
@click.argument("address")
@click.argument("name")
@yes_option
@common_options
def remove_app_password(
    address: str, name: str, yes: bool, config: Path | None, as_json: bool
) -> None:
    """Remove the app password NAME of ADDRESS.

    Whatever uses it does not get in any more.
    """

    def rehearsed(write: Write) -> AppPassword:
        with write.attempt("app-password.remove", address):
            found = app_passwords.get(write.connection, address, name)
            app_passwords.remove(write, address, name)
            return found

    with opened(config) as store:
        found = store.rehearse(rehearsed)
        ask(f"Remove the app password {found.name} of {found.mailbox}?", yes=yes)
        store.write(lambda write: app_passwords.remove(write, address, name))
    data = {"removed": found.name, "mailbox": found.mailbox}
    print_done(f"app password {found.name} of {found.mailbox} removed", data, as_json=as_json)


def _pairs(one: AppPassword) -> Iterator[tuple[str, str]]:
    yield "app password", one.name
    yield "of", one.mailbox
    yield "protocols", " ".join(one.protocols)
    yield "expires", time_text(one.expires)
    yield "created", time_text(one.created)
    yield "last used", time_text(one.last_used)
    yield "last client", one.last_client or "none"
