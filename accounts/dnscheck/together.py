"""Concurrent lookups: their questions of the same moment are asked together, each of them once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TypeAlias, TypeVar

from msgauth.ask import TEMPFAIL, Answer, Lookup, Question

T = TypeVar("T")

Batch: TypeAlias = Generator[tuple[Question, ...], tuple[Answer, ...], T]
"""Work that needs DNS: a generator of questions that is sent their answers, in the same order."""

MAX_AT_ONCE = 40
"""Maximum number of concurrent questions; more wait for the next turn."""

MAX_QUESTIONS = 1000
"""Questions of one batch. Further ones are answered with `TEMPFAIL`: records of others, such as SPF
with its includes, decide how many there are."""


def together(lookups: Iterable[Lookup[T]]) -> Batch[tuple[T, ...]]:
    """Run lookups side by side and return their results in their order.

    Records reach them in alphabetical order: name servers turn the order from answer to answer, and
    the same records have to give the same result.
    """
    results: dict[int, T] = {}
    waiting: dict[int, tuple[Lookup[T], Question]] = {}
    known: dict[Question, Answer] = {}

    def advance(index: int, lookup: Lookup[T], answer: Answer | None) -> None:
        try:
            question = next(lookup) if answer is None else lookup.send(answer)
            while question in known:
                question = lookup.send(known[question])
        except StopIteration as done:
            results[index] = done.value
        else:
            waiting[index] = (lookup, question)

    for index, lookup in enumerate(lookups):
        advance(index, lookup, None)
    while waiting:
        distinct = dict.fromkeys(question for _, question in waiting.values())
        asked = tuple(distinct)[: min(MAX_AT_ONCE, MAX_QUESTIONS - len(known))]
        if asked:
            answers = yield asked
            known.update(zip(asked, map(_in_order, answers), strict=True))
        else:
            known.update(dict.fromkeys(distinct, TEMPFAIL))
        for index, (lookup, question) in tuple(waiting.items()):
            if question in known:
                del waiting[index]
                advance(index, lookup, known[question])
    return tuple(results[index] for index in sorted(results))


def _in_order(answer: Answer) -> Answer:
    return dataclasses.replace(answer, records=tuple(sorted(answer.records)))


def one_by_one(batch: Batch[T]) -> Lookup[T]:
    """Return the batch as a lookup for `msgauth.solve`, which asks one question after another."""
    try:
        questions = next(batch)
        while True:
            answers = []
            for question in questions:
                answers.append((yield question))  # noqa: PERF401 # no yield in a comprehension
            questions = batch.send(tuple(answers))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


async def solve_together(batch: Batch[T], resolve: Callable[[Question], Awaitable[Answer]]) -> T:
    """Run the batch to its end in this event loop; up to `MAX_AT_ONCE` questions are under way.

    `resolve` is as for `msgauth.asolve`: what it raises comes out of here.
    """
    try:
        questions = next(batch)
        while True:
            questions = batch.send(tuple(await asyncio.gather(*map(resolve, questions))))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
