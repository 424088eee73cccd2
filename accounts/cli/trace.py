"""`gatepost trace`: what became of a mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import click

from accounts.cli.executor import Declined, OperationStep
from accounts.cli.layout import field_lines
from accounts.cli.local_executor import LocalExecutor
from accounts.cli.noun import Shown
from accounts.cli.options import ask, yes_option
from accounts.cli.output import print_json
from accounts.cli.session import CommandSession, session_options
from accounts.cli.values import read_time
from accounts.journal.question import MAX_MAILS, MAX_WORDS

_NONE = (
    "no server has tried to deliver such mail, or its decision did not reach accounts. The sender "
    "needs the bounce or the log of their own server; your log has every decision"
)


class PastTimeParameter(click.ParamType[int]):
    """Parameter of a time: a date, a date with a time, or a duration before now."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds since the epoch."""
        text = str(value)[:60]
        try:
            return read_time(text, -1)
        except ValueError:
            self.fail(
                f'{text!r} is not a time: write "2027-01-31", "2027-01-31T12:00", or "2h" for 2 '
                "hours ago",
                param,
                ctx,
            )


_TIME = PastTimeParameter()


@click.command("trace")
@click.argument("words", nargs=-1)
@click.option("--since", type=_TIME, help='Decisions from then on, such as "2h" for 2 hours ago.')
@click.option("--until", type=_TIME, help="Decisions before then.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_MAILS), default=10, show_default=True, help="Mails."
)
@click.option("--erase", is_flag=True, help="Remove the address from the journal instead.")
@yes_option
@session_options()
def trace(
    session: CommandSession,
    words: Sequence[str],
    since: int | None,
    until: int | None,
    limit: int,
    erase: bool,
    yes: bool,
) -> None:
    """Tell what became of a mail.

    WORDS are an address, a Message-ID, a queue id, a reason id or the address of a client; all must
    match. The latest mail comes first. The journal has the decisions of the last days, see
    [accounts.journal]; the search is entered in the audit log.

    All commands use the datastore that [accounts.database] in gatepost.toml names, and the journal
    beside it, or the API.

    Exits with 1 if there is no record.
    """
    if erase:
        _erase(session, words, yes=yes)
        return
    if len(words) > MAX_WORDS:
        raise click.UsageError(f"at most {MAX_WORDS} words")
    if not words and since is None:
        raise click.UsageError("give a word to search for, or --since")
    query = {"words": " ".join(words), "since": since, "until": until, "limit": limit}
    found = _search(session, query)
    if session.as_json:
        print_json(found)
    else:
        for number, story in enumerate(found):
            if number:
                click.echo()
            for line in _lines(story):
                click.echo(line)
    if not found:
        days = ""
        if isinstance(session.executor, LocalExecutor):
            days = f" in {session.file.accounts.journal.days} days"
        click.echo(f"No record{days}: {_NONE}.", err=True)
        raise SystemExit(1)


def _search(session: CommandSession, query: dict[str, Any]) -> list[Shown]:
    try:
        found = session.one(OperationStep("trace-mail", query=query))
    except Declined as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        # the token of a mailbox
        found = session.one(OperationStep("trace-own-mail", query=query))
    items: list[Shown] = found["items"]
    return items


def _erase(session: CommandSession, words: Sequence[str], *, yes: bool) -> None:
    if len(words) != 1:
        raise click.UsageError("--erase needs one address")
    (address,) = words
    ask(f"Remove {address} from the journal for good?", yes=yes)
    session.do(OperationStep("erase-trace", {"address": address}))
    session.done(f"{address} is no longer in the journal", {"address": address})


def _lines(story: Shown) -> Iterator[str]:
    """Yield the lines about one mail."""
    sender = story["sender"] or "<> (a bounce)"
    pairs = [
        ("result", story["sentence"]),
        ("next", story["advice"]),
        ("mail", f"{sender} to {story['recipient'] or 'unknown'}"),
        ("client", story["client"]),
        ("Message-ID", story["message_id"]),
        ("queue id", story["queue_id"]),
        ("size", f"{story['size']} octets" if story["size"] else ""),
    ]
    yield from field_lines((name, value) for name, value in pairs if value)
    events = []
    day = ""
    for event in story["events"]:
        moment = datetime.fromtimestamp(event["at"], UTC)
        if day != (day := moment.strftime("%Y-%m-%d")):
            events.append((day + " UTC", ""))
        text = event["text"] + (f" [{event['reason']}]" if event["reason"] else "")
        events.append((f"  {moment:%H:%M:%S} {event['daemon']}", text))
    yield from field_lines(events)
