"""`gatepost user move` and `gatepost user moves`."""

from __future__ import annotations

import time
from http import HTTPStatus

import click

from accounts.cli.executor import Declined, OperationStep
from accounts.cli.noun import Shown
from accounts.cli.session import CommandSession, session_options

PAUSE = 1.0
"""Seconds between two looks at a move."""


@click.command("move")
@click.argument("address")
@click.option("--store", metavar="NAME", help="The mail store that it goes to.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the end of the move.")
@click.option("--cancel", is_flag=True, help="End a move that is in progress.")
@session_options()
def move_user(
    session: CommandSession, address: str, store: str | None, no_wait: bool, cancel: bool
) -> None:
    """Move the mailbox ADDRESS to another mail store.

    `gatepost accounts` does it, and goes on after a restart. The mailbox is used meanwhile; only
    the changes during the copy are made up for under a lock, for some seconds, in which new mail
    waits and programs are told to try again. The command ends when the mailbox is used in its new
    store; you can interrupt it.
    """
    where = {"address": address}
    if cancel == (store is not None):
        raise click.UsageError("give one of --store and --cancel")
    if cancel:
        session.do(OperationStep("cancel-move", where))
        session.done(f"move of user {address} ended", {"address": address})
        return
    one = session.one(OperationStep("move-mailbox", where, {"store": store}))
    if no_wait:
        session.done(f"user {one['address']} is being moved to {one['target']}", one)
        return
    session.done(f"user {address} moved to {one['target']}", _await_move(session, one))


@click.command("moves")
@session_options()
def list_moves(session: CommandSession) -> None:
    """List the mailboxes that are being moved to another mail store."""
    session.list(
        session.pages(OperationStep("list-moves")),
        ("ADDRESS", "FROM", "TO", "STATE", "PROBLEM"),
        lambda one: (one["address"], one["source"], one["target"], one["phase"], one["problem"]),
    )


def _await_move(session: CommandSession, one: Shown) -> Shown:
    """Wait until the mailbox is in its new store; a failure is told once, and tried again."""
    told = ""
    while one["phase"] != "settle":
        if one["problem"] != told:
            told = one["problem"]
            click.echo(f"not moved yet, trying again: {told}", err=True)
        time.sleep(PAUSE)
        try:
            one = session.one(OperationStep("get-move", {"address": one["address"]}))
        except Declined as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            box = session.one(OperationStep("get-mailbox", {"address": one["address"]}))
            if box["store"] != one["target"]:
                raise click.ClickException(f"the move of {one['address']} was ended") from None
            break
    return one
