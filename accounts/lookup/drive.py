"""Driver of `RowLookup` in one thread, for questions that are answered immediately."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from accounts.lookup.ask import Ask, RowAnswer, RowLookup

T = TypeVar("T")


def solve(lookup: RowLookup[T], ask: Callable[[tuple[Ask, ...]], tuple[RowAnswer, ...]]) -> T:
    """Run `lookup` to its end and return its result; raises what it and `ask` raise."""
    try:
        asks = next(lookup)
        while True:
            asks = lookup.send(ask(asks))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic
