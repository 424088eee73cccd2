"""`gatepost quarantine`: mail that is kept back, its release and its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from accounts.cli.executor import OperationStep
from accounts.cli.layout import field_lines
from accounts.cli.noun import Shown
from accounts.cli.options import ask, yes_option
from accounts.cli.output import print_json
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import time_text
from accounts.http.models.base import MAX_LIMIT
from gatepost.printable import escape_lines
from gatepost.quarantine.held import HeldKind
from gatepost.quarantine.wire import is_name


class MailParameter(click.ParamType[dict[str, str]]):
    """Parameter that names a mail: its holder and its id."""

    name = "HOLDER/ID"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        """Return the parameters of an operation."""
        if isinstance(value, dict):
            return value
        holder, slash, mail_id = str(value).partition("/")
        if not (slash and is_name(holder) and is_name(mail_id)):
            self.fail("write HOLDER/ID, as the list shows it", param, ctx)
        return {"holder": holder, "id": mail_id}


_MAIL = MailParameter()


@click.group("quarantine")
def quarantine() -> None:
    """Look at mail in quarantine, release it or delete it.

    It is mail with a virus, in the folder of delivery, and mail in the hold queue of Postfix.
    [accounts.quarantine] names the processes that have it. Each mail is named by its holder and its
    id, as the list shows it. The commands use the datastore that [accounts.database] in
    gatepost.toml names, or the API.
    """


@quarantine.command("list")
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=100, show_default=True, help="Mails."
)
@session_options()
def list_(session: CommandSession, limit: int) -> None:
    """List the latest mail.

    Exits with 1 if a holder does not answer; the mail of the others is listed.
    """
    found = session.one(OperationStep("list-quarantine", query={"limit": limit}))
    if session.as_json:
        print_json(found)
    else:
        for number, mail in enumerate(found["mails"]):
            if number:
                click.echo()
            for line in field_lines((name, text) for name, text in _facts(mail) if text):
                click.echo(line)
    if not found["is_configured"]:
        raise click.ClickException("no holder is configured: see [accounts.quarantine]")
    for one in found["missing"]:
        click.echo(f"{one['address']} does not answer: {one['problem']}", err=True)
    if found["has_more"]:
        click.echo("There is older mail: use a higher --limit.", err=True)
    if found["missing"]:
        raise SystemExit(1)


@quarantine.command("show")
@click.argument("mail", type=_MAIL)
@session_options()
def show(session: CommandSession, mail: dict[str, str]) -> None:
    """Show the header and the text of a mail. It is entered in the audit log."""
    found = session.one(OperationStep("show-quarantined-mail", mail))
    if session.as_json:
        print_json(found)
        return
    for line in _lines(found):
        click.echo(line)


@quarantine.command("release")
@click.argument("mail", type=_MAIL)
@yes_option
@session_options()
def release(session: CommandSession, mail: dict[str, str], yes: bool) -> None:
    """Deliver a mail to its recipients.

    Exits with 1 if a recipient did not get it: for those it stays in quarantine.
    """
    ask(f"Deliver the mail {mail['id']} as it is?", yes=yes)
    done = session.one(OperationStep("release-quarantined-mail", mail))
    session.done(f"released to {', '.join(done['released']) or 'nobody'}", done)
    for one in done["kept"]:
        click.echo(f"still in quarantine for {one['recipient']}: {one['reply']}", err=True)
    if done["kept"]:
        raise SystemExit(1)


@quarantine.command("delete")
@click.argument("mail", type=_MAIL)
@yes_option
@session_options()
def delete(session: CommandSession, mail: dict[str, str], yes: bool) -> None:
    """Delete a mail for good. Nobody is told."""
    ask(f"Delete the mail {mail['id']} for good?", yes=yes)
    session.do(OperationStep("delete-quarantined-mail", mail))
    session.done(f"the mail {mail['id']} is deleted", mail)


def _facts(mail: Shown) -> Iterator[tuple[str, str]]:
    """Yield the facts of a mail; those without a value are empty."""
    yield "mail", f"{mail['holder']}/{mail['id']}"
    yield "since", time_text(int(mail["held_at"]))
    yield "reason", mail["reason"]
    yield "note", mail["note"]
    is_known = mail["kind"] != HeldKind.UNREADABLE
    yield "from", mail["sender"] or ("<> (a bounce)" if is_known else "")
    more = mail["recipient_count"] - len(mail["recipients"])
    yield "to", ", ".join(mail["recipients"]) + (f" and {more} more" if more > 0 else "")
    yield "others", "it has recipients in other domains" if mail["has_others"] else ""
    yield "subject", mail["subject"]
    yield "size", f"{mail['size']} octets"
    yield "queue id", mail["queue_id"]


def _lines(found: Shown) -> Iterator[str]:
    pairs = [*_facts(found["mail"])]
    pairs += [(f"part {number}", _part(one)) for number, one in enumerate(found["parts"], 1)]
    yield from field_lines((name, value) for name, value in pairs if value)
    yield ""
    for one in found["fields"]:
        yield f"{one['name']}: {one['value']}"
    yield ""
    yield escape_lines(found["text"])
    if found["is_cut"]:
        yield "(something was left out)"


def _part(part: Shown) -> str:
    name = f" {part['name']}" if part["name"] else ""
    return f"{part['media_type']}{name}, {part['octets']} octets"
