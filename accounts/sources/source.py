"""Interface of the databases that look-ups ask."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeAlias

from accounts.lookup.ask import Ask, RowAnswer

SourceAnswers: TypeAlias = tuple[RowAnswer, ...]

MAX_ROWS = 1000
"""Maximum number of wildcards of a domain, and of logins with a right to one sender, that are
read."""


class Source(Protocol):
    """A database, which answers in the order of the questions.

    `ask` returns the answers, or an awaitable for them. Both raise `Unavailable` if the database
    cannot be asked, within a bounded time, and `Unresolvable` for more rows than `MAX_ROWS`.
    """

    @property
    def generation(self) -> int:
        """The latest generation of the data that was seen; 0 before the first."""
        ...

    def ask(self, asks: Sequence[Ask]) -> SourceAnswers | Awaitable[SourceAnswers]:
        """Answer questions."""
        ...

    async def close(self) -> None:
        """Close the database; later questions raise `Unavailable`."""
        ...


def is_storable(key: str) -> bool:
    """Return whether a database can store a key: text without NUL that UTF-8 can encode.

    PostgreSQL refuses other keys, together with every question of the same query.
    """
    if key.isascii():
        return "\0" not in key
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in key
