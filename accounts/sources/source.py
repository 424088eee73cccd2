"""Interface of the databases that look-ups ask."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeAlias

from accounts.lookup.ask import Ask, RowAnswer

SourceAnswers: TypeAlias = tuple[RowAnswer, ...]

MAX_ROWS = 1000
"""Most wildcards of a domain, and most logins with a right to one sender, that are read."""


class Source(Protocol):
    """A database; it answers in the order of the questions.

    `ask` returns the answers, or something to wait for. Both raise `Unavailable` when the database
    cannot be asked, within a bounded time, and `Unresolvable` for more rows than `MAX_ROWS`.
    """

    @property
    def generation(self) -> int:
        """The generation of the data that was seen last; 0 before the first."""
        ...

    def ask(self, asks: Sequence[Ask]) -> SourceAnswers | Awaitable[SourceAnswers]:
        """Answer questions."""
        ...

    async def close(self) -> None:
        """Let go of the database; questions raise `Unavailable` from now on."""
        ...


def is_storable(key: str) -> bool:
    """Return whether a key can be in a database at all: no NUL, and text that UTF-8 can carry.

    PostgreSQL fails for others, and with them fails every question of the same query.
    """
    if key.isascii():
        return "\0" not in key
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in key
