"""Record of a scene: its actions, its results and its problems."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.testbed.swaks import Exchange


@dataclass(frozen=True, slots=True)
class Problem:
    """One result that was not as expected."""

    what: str
    expected: str
    seen: str


@dataclass
class Record:
    """Actions and results of a scene (the cells of its row), and its problems."""

    sent: str = ""
    answered: str = ""
    arrived: str = ""
    problems: list[Problem] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    """The command lines of swaks, for use by hand."""

    @property
    def ok(self) -> bool:
        """Return whether every result was as expected."""
        return not self.problems

    def expect(self, what: str, expected: object, seen: object, *, ok: bool | None = None) -> None:
        """Add a problem unless `seen` equals `expected`; `ok`, if given, decides instead."""
        if not (seen == expected if ok is None else ok):
            self.problems.append(Problem(what, str(expected), str(seen)))

    def note(self, exchange: Exchange) -> None:
        """Add the reply of an exchange, and its command line."""
        self.commands.append(exchange.command_line)
        self.answer(str(exchange.reply))

    def answer(self, reply: str) -> None:
        """Add a reply of Postfix."""
        self.answered = f"{self.answered}\n{reply}" if self.answered else reply
