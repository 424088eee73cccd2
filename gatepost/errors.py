"""Errors for the administrator, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class StartError(Exception):
    """A daemon cannot start; the message is one line for the administrator.

    The command prints it without a traceback and exits with 1.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its place (file, line, key) and a sentence that says what is allowed."""

    source: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(Exception):
    """The configuration is invalid. `problems` has all problems, in file order.

    The command prints a line for each, without a traceback, and exits with 2.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(
            sorted(problems, key=lambda problem: (problem.source, problem.line or 0))
        )
        super().__init__("\n".join(map(str, self.problems)))

    @classmethod
    def one(cls, path: Path | str, message: str, line: int | None = None) -> ConfigError:
        """Return an error with a single problem without a key."""
        return cls([Problem(str(path), line, "", message)])
