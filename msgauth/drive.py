"""Drivers of a `Lookup`: each puts its questions to a resolver and sends it the answers.

A resolver is a function that takes a `Question` and returns an `Answer`. It never raises for what a
server or the network does: it returns `TEMPFAIL`. An exception that it does raise, for something
wrong on this host, ends the lookup and comes out of the driver.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgauth.ask import Answer, Lookup, Question

T = TypeVar("T")


def solve(lookup: Lookup[T], resolve: Callable[[Question], Answer]) -> T:
    """Run `lookup` to its end in this thread and return its result.

    `resolve` is called once for each question, one after the other. Nothing here bounds the time:
    that is up to `resolve`, which can answer `TEMPFAIL` from some point on. Raises what the lookup
    raises (`MsgauthError`) and what `resolve` raises.
    """
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
    """Run `lookup` to its end in this event loop and return its result; see `solve`."""
    try:
        question = next(lookup)
        while True:
            question = lookup.send(await resolve(question))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
