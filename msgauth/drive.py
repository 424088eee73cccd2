"""Drivers of a `Lookup`: each passes its questions to a resolver and sends it the answers.

A resolver is a function that takes a `Question` and returns an `Answer`. For failures of a server
or the network it returns `TEMPFAIL` and never raises. If it raises for a problem on this host, the
lookup ends and the driver raises the same exception.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgauth.ask import Answer, Lookup, Question

T = TypeVar("T")


def solve(lookup: Lookup[T], resolve: Callable[[Question], Answer]) -> T:
    """Run `lookup` to its end in this thread and return its result.

    `resolve` is called for each question in sequence. It must limit the time itself, by answering
    `TEMPFAIL` from some point on. Raises the exceptions of the lookup (`MsgauthError`) and of
    `resolve`.
    """
    try:
        question = next(lookup)
        while True:
            question = lookup.send(resolve(question))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration is not generic


@dataclass(frozen=True, slots=True)
class Pending(Generic[T]):
    """A lookup in progress; `rest` asks its current question, and continues."""

    rest: Lookup[T]


def begin(lookup: Lookup[T], known: Callable[[Question], Answer | None]) -> T | Pending[T]:
    """Run a lookup as far as `known` has answers: to its end, or to an unknown one."""
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
