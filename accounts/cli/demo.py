"""`gatepost accounts demo`: a first domain with users, to try a new system."""

from __future__ import annotations

from typing import Final

import click

from accounts.cli.admin import ADMIN
from accounts.cli.alias import ALIAS
from accounts.cli.dkim import DKIM_KEY
from accounts.cli.domain import DOMAIN
from accounts.cli.session import CommandSession, session_options
from accounts.cli.user import USER
from accounts.passwords import random_password

USERS: Final = ("anna", "bert")
ADMINISTRATOR: Final = "admin"
SELECTOR: Final = "demo"


@click.command()
@click.option("--domain", default="example.org", show_default=True, help="The domain to add.")
@session_options(make=True)
@click.pass_context
def demo(ctx: click.Context, session: CommandSession, domain: str) -> None:
    """Add a domain with two users and an administrator, to try a new system.

    Adds the mailboxes anna and bert, the alias info, the administrator admin, and an active DKIM
    key. The passwords are generated, and shown only now. This is for an empty datastore alone, and
    everything in it can be changed or removed later.
    """
    if session.config is None:
        session.config = ctx.ensure_object(dict).get("config")
    listed = session.do(*(one.step("list", query={"limit": 1}) for one in (DOMAIN, ADMIN)))
    if any(one.body["items"] for one in listed):
        raise click.ClickException("there are domains or administrators already: nothing was added")
    addresses = [f"{name}@{domain}" for name in USERS]
    passwords = {login: random_password() for login in (*addresses, ADMINISTRATOR)}
    _, *_, key = session.do(
        DOMAIN.step("add", body={"name": domain}),
        *(
            USER.step("add", body={"address": address, "password": passwords[address]})
            for address in addresses
        ),
        ADMIN.step(
            "add",
            body={
                "login": ADMINISTRATOR,
                "role": "global",
                "password": passwords[ADMINISTRATOR],
            },
        ),
        ALIAS.step("add", body={"address": f"info@{domain}", "targets": addresses[:1]}),
        DKIM_KEY.step("add", [domain], body={"selector": SELECTOR}),
        DKIM_KEY.step("activate", [domain, SELECTOR]),
    )
    lines = [
        "These passwords are shown once:",
        "",
        *(f"  {login:<28} {password}" for login, password in passwords.items()),
        "",
        f"`gatepost dkim record {key.body['domain']} {SELECTOR}` prints the DKIM record for DNS.",
    ]
    data = {"domain": domain, "passwords": passwords, "record_name": key.body["record_name"]}
    session.done_lines("\n".join(lines), data)
