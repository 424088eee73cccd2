"""`gatepost user list --deleted`, `restore` and `purge`: mailboxes that were removed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import click

from accounts.address import parse_domain
from accounts.cli.datastore import actor
from accounts.cli.executor import Away, Declined, OperationStep
from accounts.cli.local_executor import LocalExecutor
from accounts.cli.noun import Shown
from accounts.cli.options import ask, yes_option
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import size_text, time_text
from accounts.dovecot.purge import Purge, PurgeResult

_HEADS = ("ADDRESS", "NUMBER", "REMOVED", "BY", "SIZE", "MAIL UNTIL")

_number = click.option(
    "--number", type=click.IntRange(0), help="Which one, if the address had several mailboxes."
)


def list_deleted(session: CommandSession, domain: str | None, text: str | None) -> None:
    """Print the deleted mailboxes as a table."""
    step = OperationStep("list-deleted-mailboxes", query={"text": text})
    ending = None if domain is None else f"@{parse_domain(domain)}"
    found = (
        one for one in session.pages(step) if ending is None or one["address"].endswith(ending)
    )
    session.list(found, _HEADS, _row)


def with_deleted(session: CommandSession, address: str, error: Declined) -> Declined:
    """Return the error about a mailbox that is not there, with the deleted one if there is one."""
    if error.status != HTTPStatus.NOT_FOUND:
        return error
    try:
        step = OperationStep("list-deleted-mailboxes", query={"address": address})
        found = list(session.pages(step))
    except Declined:
        return error
    if not found:
        return error
    last = found[-1]
    return Declined(
        f"{error.message} It was removed on {time_text(last['removed'])} by {last['removed_by']}; "
        f"its mail is kept until {time_text(last['kept_until'])}: "
        f"`gatepost user restore {last['address']}`.",
        error.status,
    )


@click.command("restore")
@click.argument("address")
@_number
@session_options()
def restore_user(session: CommandSession, address: str, number: int | None) -> None:
    """Bring the mailbox ADDRESS back after its removal.

    Its mail, password, rules, app passwords and remote accounts are as before. API tokens do not
    come back.
    """
    step = OperationStep("restore-mailbox", {"address": address}, {"number": number})
    made = session.one(step)
    session.done(f"user {made['address']} restored", made)


@click.command("purge")
@click.argument("address", required=False)
@_number
@yes_option
@session_options()
def purge_users(
    session: CommandSession, address: str | None, number: int | None, yes: bool
) -> None:
    """Remove the mail of deleted mailboxes for good.

    Without ADDRESS, of those whose time is over; the service does the same by itself, once a
    minute. With ADDRESS, of the mailbox of that address that was removed last. It asks doveadm,
    which [accounts.dovecot] names.
    """
    if address is None:
        if number is not None:
            raise click.UsageError("--number needs an address")
        _report(session, _purge(session))
        return
    step = OperationStep("purge-deleted-mailbox", {"address": address}, {"number": number})
    one = session.do(step, dry_run=True)[0].body
    ask(f"Remove the mail of {one['address']} for good?", yes=yes)
    one = session.one(step)
    # from the database alone: the API leaves the rest to the service
    done = None
    if isinstance(session.executor, LocalExecutor) and session.file.accounts.dovecot.doveadm_url:
        done = _purge(session, one["number"])
    if done is None or not (done.removed or done.failed):
        session.done(f"the mail of {one['address']} is removed within minutes", one)
    else:
        _report(session, done)


def _purge(session: CommandSession, number: int | None = None) -> PurgeResult:
    executor, settings = session.executor, session.file.accounts
    if not isinstance(executor, LocalExecutor):
        raise click.UsageError(
            "mail is removed where the database is: the service does it by itself"
        )
    if not settings.dovecot.doveadm_url:
        raise click.ClickException(
            "[accounts.dovecot] names no doveadm_url: nobody can remove mail"
        )
    purge = Purge(
        executor.database,
        lambda: settings.dovecot,
        lambda: settings.keep_deleted,
        actor=actor(),
    )
    return executor.run(purge.look(number=number))


def _report(session: CommandSession, result: PurgeResult) -> None:
    names = [one.address for one in result.removed]
    failed = [{"address": one.address, "reason": reason} for one, reason in result.failed]
    text = "\n".join(f"the mail of {name} is removed" for name in names)
    if names or not failed:
        session.done_lines(text or "nothing to remove", {"removed": names, "failed": failed})
    if failed:
        first = failed[0]
        raise Away(f"the mail of {first['address']} is not removed: {first['reason']}")


def _row(one: Shown) -> tuple[str, ...]:
    until: Any = one["kept_until"]
    return (
        one["address"],
        str(one["number"]),
        time_text(one["removed"]),
        one["removed_by"],
        "unknown" if one["octets"] is None else size_text(one["octets"]),
        "being removed" if one["is_claimed"] else time_text(until),
    )
