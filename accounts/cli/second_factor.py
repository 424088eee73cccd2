"""`gatepost second-factor`."""

from __future__ import annotations

from typing import Any

import click

from accounts.cli.executor import OperationStep
from accounts.cli.options import ask, yes_option
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import date_text

_HEADS = ("KIND", "NAME", "CREATED", "LAST USED")


def _row(one: Any) -> tuple[str, ...]:
    return one["kind"], one["name"], date_text(one["created"]), date_text(one["last_used"])


_admin_option = click.option(
    "--admin", is_flag=True, help="NAME is the login of an administrator, not of a mailbox."
)


@click.group("second-factor")
def second_factor() -> None:
    """Show and remove the second factors of logins.

    People add their own in the web pages: an app for codes, and passkeys. Here they are removed for
    somebody who has lost them. The commands use the datastore that [accounts.database] in
    gatepost.toml names, or the API.
    """


@second_factor.command("list")
@click.argument("name")
@_admin_option
@session_options()
def list_factors(session: CommandSession, name: str, admin: bool) -> None:
    """List the second factors of the mailbox NAME."""
    session.list(session.one(_step("list", name, admin=admin))["items"], _HEADS, _row, dict)


@second_factor.command("reset")
@click.argument("name")
@_admin_option
@yes_option
@session_options()
def reset_factors(session: CommandSession, name: str, admin: bool, yes: bool) -> None:
    """Remove all second factors of the mailbox NAME.

    Its sessions in the web pages end, and its recovery codes are not valid any more. Afterwards the
    password alone is enough to log in and to add another second factor.
    """
    step = _step("reset", name, admin=admin)
    session.do(step, dry_run=True)
    ask(f"Remove all second factors of {name}?", yes=yes)
    session.do(step)
    session.done(f"second factors of {name} removed", {"reset": name})


def _step(verb: str, name: str, *, admin: bool) -> OperationStep:
    if admin:
        return OperationStep(f"{verb}-administrator-second-factors", {"login": name})
    return OperationStep(f"{verb}-second-factors", {"address": name})
