"""Drives a `Lookup`: puts its questions to a resolver and sends it the answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

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


@dataclass(frozen=True, slots=True)
class Pending(Generic[T]):
    """A lookup that has begun; `rest` asks the question it has come to, and goes on."""

    rest: Lookup[T]


def begin(lookup: Lookup[T], known: Callable[[Question], Answer | None]) -> T | Pending[T]:
    """Run a lookup as far as `known` has the answers: to its end, or to a question it has not."""
    try:
        question = next(lookup)
        while (answer := known(question)) is not None:
            question = lookup.send(answer)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    return Pending(_rest(lookup, question))


def _rest(lookup: Lookup[T], question: Question) -> Lookup[T]:
    try:
        while True:
            question = lookup.send((yield question))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


async def asolve(lookup: Lookup[T], resolve: Callable[[Question], Awaitable[Answer]]) -> T:
    """Run a lookup to its end in this event loop."""
    try:
        question = next(lookup)
        while True:
            question = lookup.send(await resolve(question))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
