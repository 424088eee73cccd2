"""A missing or dangerous setting of a Postfix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class PostfixFinding:
    """`why` is a sentence without a full stop, `fix` the line to set or another remedy.

    An `error` loses mail, lets a forgery through or leaves mail unsigned or unchecked. `where` is
    ``main.cf``, or a service of master.cf.
    """

    level: Level
    where: str
    parameter: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.parameter}: {self.why}; {self.fix}"


def set_line(parameter: str, value: str) -> str:
    """Return the advice to set a parameter."""
    return f'write "{parameter} = {value}"'
