"""`gatepost remote`: remote accounts from which mail is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from accounts.cli.executor import OperationStep
from accounts.cli.new_password import new_password
from accounts.cli.noun import Noun, Shown
from accounts.cli.options import field_options, fields_of, given, password_file_option
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import DurationParameter, flag_text, time_text
from accounts.http.models.belongings import RemoteAccountChange
from accounts.http.resources.access_to_mail import REMOTE as KIND
from gatepost.config.types import print_duration

FIELDS = fields_of(
    RemoteAccountChange,
    destination="FOLDER",
    tls=click.Choice(["implicit", "starttls"]),
    interval=DurationParameter("TIME"),
)


def _pairs(one: Shown) -> Iterator[tuple[str, str]]:
    yield "number", str(one["id"])
    yield "of", one["mailbox"]
    yield "protocol", one["protocol"]
    yield "host", one["host"]
    yield "port", str(one["port"])
    yield "TLS", one["tls"]
    yield "login", one["login"]
    yield "folder there", one["folder"]
    yield "folder here", one["destination"] or "as the filters decide"
    yield "looked at every", print_duration(one["interval"])
    yield "mail stays there", flag_text(one["keep"])
    yield "enabled", flag_text(one["enabled"])
    yield "created", time_text(one["created"])
    yield "changed", time_text(one["changed"])


REMOTE = Noun(
    kind=KIND,
    word="remote account",
    arguments=("address", "number"),
    name="id",
    owner="mailbox",
    heads=("NO.", "PROTOCOL", "HOST", "LOGIN", "EVERY", "ENABLED"),
    row=lambda one: (
        str(one["id"]),
        one["protocol"],
        f"{one['host']}:{one['port']}",
        one["login"],
        print_duration(one["interval"]),
        flag_text(one["enabled"]),
    ),
    pairs=_pairs,
)


@click.group()
def remote() -> None:
    """Add, show and change remote accounts from which mail is fetched.

    Their passwords are encrypted in the datastore, and never printed. The commands use the
    datastore that [accounts.database] in gatepost.toml names, or the API.
    """


@remote.command("add")
@click.argument("address")
@click.argument("protocol", type=click.Choice(["imap", "pop3"]))
@click.argument("host")
@click.argument("login")
@password_file_option
@field_options(FIELDS)
@session_options()
def add_remote(
    session: CommandSession,
    address: str,
    protocol: str,
    host: str,
    login: str,
    password_file: Path | None,
    **values: Any,
) -> None:
    """Fetch the mail of LOGIN at HOST for the mailbox ADDRESS.

    You are asked for the password there.
    """
    body = {"protocol": protocol, "host": host, "login": login, **given(values)}
    # check everything else before asking for a password
    session.do(REMOTE.step("add", [address], body={**body, "secret": "-"}), dry_run=True)
    body["secret"] = new_password(password_file)
    made = session.one(REMOTE.step("add", [address], body=body))
    session.done(f"{REMOTE.called(made)} added", made)


REMOTE.add_list(remote, "List the remote accounts of the mailbox ADDRESS.")
REMOTE.add_show(remote, "Show the remote account NUMBER of the mailbox ADDRESS.")
REMOTE.add_set(remote, "Change the remote account NUMBER of the mailbox ADDRESS.", *FIELDS)


@remote.command("password")
@click.argument("address")
@click.argument("number", type=int)
@password_file_option
@session_options()
def change_password(
    session: CommandSession, address: str, number: int, password_file: Path | None
) -> None:
    """Store another password of the remote account NUMBER.

    The mailbox is ADDRESS.
    """
    params = {"address": address, "id": str(number)}
    session.do(OperationStep("set-remote-secret", params, {"secret": "-"}), dry_run=True)
    secret = new_password(password_file)
    made = session.one(OperationStep("set-remote-secret", params, {"secret": secret}))
    session.done(f"password of {REMOTE.called(made)} set", made)


REMOTE.add_remove(
    remote,
    "Remove the remote account NUMBER of the mailbox ADDRESS.\n\nThe mail there stays.",
    lambda one: f"the account {one['login']} at {one['host']} of {one['mailbox']}",
)
