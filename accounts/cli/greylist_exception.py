"""`gatepost greylist-exception`."""

from __future__ import annotations

import click

from accounts.cli.executor import OperationStep
from accounts.cli.noun import Shown
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import date_text

_HEADS = ("NO.", "KIND", "PATTERN", "TO", "ADDED", "BY", "REASON")


def _row(one: Shown) -> tuple[str, ...]:
    return (
        str(one["id"]),
        one["kind"],
        one["pattern"],
        one["domain"] or "all",
        date_text(one["created"]),
        one["added_by"],
        one["note"],
    )


@click.group("greylist-exception")
def greylist_exception() -> None:
    """Exempt servers and senders from the greylist.

    The exceptions are in the datastore, and all policy servers with `greylist` in
    [policyd.accounts] have them within seconds. `gatepost greylist` shows and changes the records
    of one policy server. The commands use the datastore that [accounts.database] in gatepost.toml
    names, or the API.
    """


@greylist_exception.command("list")
@session_options()
def list_exceptions(session: CommandSession) -> None:
    """List exceptions by their numbers."""
    session.list(session.pages(OperationStep("list-greylist-exceptions")), _HEADS, _row)


@greylist_exception.command("add")
@click.argument("kind", type=click.Choice(["client", "sender"]))
@click.argument("pattern")
@click.option("--domain", help="For the recipients in this domain; by default for all.")
@click.option("--note", default="", help="The reason.")
@session_options()
def add_exception(
    session: CommandSession, kind: str, pattern: str, domain: str | None, note: str
) -> None:
    """Add an exception.

    PATTERN is the address, the network or the host name of a client; of a sender it is the address,
    or @ and a domain.
    """
    body = {"kind": kind, "pattern": pattern, "note": note}
    step = OperationStep("add-greylist-exception", body=body)
    if domain is not None:
        step = OperationStep("add-domain-greylist-exception", {"domain": domain}, body=body)
    made = session.one(step)
    to = made["domain"] or "all recipients"
    session.done(f"exception {made['id']} added: {kind} {made['pattern']}, to {to}", made)


@greylist_exception.command("remove")
@click.argument("number", type=click.IntRange(min=0))
@session_options()
def remove_exception(session: CommandSession, number: int) -> None:
    """Remove the exception NUMBER: mail is delayed again."""
    session.do(OperationStep("remove-greylist-exception", {"id": str(number)}))
    session.done(f"exception {number} removed", {"removed": number})
