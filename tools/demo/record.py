"""The record that a scene leaves: what it did and saw, and what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.testbed.swaks import Exchange


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was not as it must be."""

    what: str
    expected: str
    seen: str


@dataclass
class Record:
    """What a scene did and saw: the cells of its row, and what was wrong."""

    sent: str = ""
    answered: str = ""
    arrived: str = ""
    problems: list[Problem] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    """The command lines of swaks, to be tried by hand."""

    @property
    def ok(self) -> bool:
        """Whether all was as it must be."""
        return not self.problems

    def expect(self, what: str, expected: object, seen: object, *, ok: bool | None = None) -> None:
        """Note a problem unless `seen` equals `expected`, or `ok` says that it fits."""
        if not (seen == expected if ok is None else ok):
            self.problems.append(Problem(what, str(expected), str(seen)))

    def note(self, exchange: Exchange) -> None:
        """Add what was answered, and remember the command line."""
        self.commands.append(exchange.command_line)
        self.answer(str(exchange.reply))

    def answer(self, reply: str) -> None:
        """Add a reply to what was answered."""
        self.answered = f"{self.answered}\n{reply}" if self.answered else reply
