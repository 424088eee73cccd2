"""One thing that is missing or dangerous in a Postfix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`why` is a sentence without its stop, `fix` the line to set or what to do instead.

    An `error` loses mail, lets a forgery through or leaves mail unsigned or unjudged. `where` is
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
    """Word the advice to set a parameter."""
    return f'write "{parameter} = {value}"'
