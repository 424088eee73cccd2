"""DNS queries of the commands of `gatepost auth`, with a record of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from gatepost.config import DnsSettings
from gatepost.dns import Resolver, Zone, ZoneError
from gatepost.printable import escape
from msgauth.ask import Answer, Question, Rcode
from msgauth.trace import Asked, Trace

MAX_SHOWN = 100
"""Maximum characters shown of one record."""


def dns_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option `--dns FILE`."""
    return click.option(
        "--dns",
        "zone",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Answers from this zone file (TOML) instead of the network.",
    )(command)


class Questions:
    """Answers queries from a zone file or the network, and records each once.

    It is also a `milters.keys.live.AnswerSource`.
    """

    def __init__(self, zone: Path | None, settings: DnsSettings) -> None:
        self._asked: dict[Question, Answer] = {}
        try:
            self._resolve: Callable[[Question], Answer] = (
                Zone.read(zone).resolve if zone else Resolver(settings).resolve
            )
        except ZoneError as error:
            raise click.ClickException(str(error)) from None

    def resolve(self, question: Question) -> Answer:
        """Return the answer; never raises."""
        answer = self._resolve(question)
        self._asked.setdefault(question, answer)
        return answer

    def within(self, seconds: float) -> Callable[[Question], Answer]:
        """Return `resolve`: the user can interrupt the command."""
        del seconds
        return self.resolve

    def lines(self, trace: Trace | None = None) -> list[str]:
        """Return a line for each query and its answer, except those in `trace`."""
        events = [] if trace is None else trace.events
        traced = {event.question for event in events if isinstance(event, Asked)}
        return [
            f"{escape(question.name)} {question.rdtype}: {_shown(answer)}"
            for question, answer in self._asked.items()
            if question not in traced
        ]


def _shown(answer: Answer) -> str:
    if answer.rcode is not Rcode.OK:
        return str(answer.rcode.value)
    records = [
        record if len(record) <= MAX_SHOWN else f"{record[:MAX_SHOWN]}…"
        for record in map(escape, answer.records)
    ]
    return " | ".join(records) or "no such records"
