"""Drives a `Lookup`: puts its questions to a resolver and sends it the answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgauth.ask import Answer, Lookup, Question

T = TypeVar("T")


def solve(lookup: Lookup[T], resolve: Callable[[Question], Answer]) -> T:
    """Run a lookup to its end in this thread."""
    try:
        question = next(lookup)
        while True:
            question = lookup.send(resolve(question))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic


async def asolve(lookup: Lookup[T], resolve: Callable[[Question], Awaitable[Answer]]) -> T:
    """Run a lookup to its end in this event loop."""
    try:
        question = next(lookup)
        while True:
            question = lookup.send(await resolve(question))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
