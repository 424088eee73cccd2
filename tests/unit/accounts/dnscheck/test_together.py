"""Lookups run side by side; each question is asked once, and their number is bounded."""

from __future__ import annotations

import asyncio

import pytest

from accounts.dnscheck.together import (
    MAX_AT_ONCE,
    MAX_QUESTIONS,
    Batch,
    one_by_one,
    solve_together,
    together,
)
from msgauth import Answer, Lookup, Question, Rcode, solve


def names(*wanted: str) -> Lookup[str]:
    """Ask for each name, and return what was said."""
    said: list[str] = []
    for name in wanted:
        answer: Answer = yield Question(name, "TXT")
        said += answer.records or [answer.rcode.value]
    return " ".join(said)


def echo(question: Question) -> Answer:
    return Answer(Rcode.OK, (question.name.upper(),))


def rounds(batch: Batch[tuple[str, ...]]) -> tuple[list[list[str]], tuple[str, ...]]:
    asked = []
    try:
        questions = next(batch)
        while True:
            asked.append([question.name for question in questions])
            questions = batch.send(tuple(map(echo, questions)))
    except StopIteration as done:
        return asked, done.value


def test_questions_of_several_lookups_are_asked_at_once() -> None:
    asked, said = rounds(together([names("a", "b"), names("c"), names(), names("a", "c", "d")]))
    assert asked == [["a", "c"], ["b", "d"]]
    assert said == ("A B", "C", "", "A C D")


def test_no_more_than_a_number_are_under_way() -> None:
    asked, said = rounds(together([names(f"n{at}") for at in range(MAX_AT_ONCE + 5)]))
    assert [len(one) for one in asked] == [MAX_AT_ONCE, 5]
    assert said == tuple(f"N{at}" for at in range(MAX_AT_ONCE + 5))


def test_a_batch_without_end_ends() -> None:
    many = [names(*(f"{lookup}-{at}" for at in range(100))) for lookup in range(15)]
    asked, said = rounds(together(many))
    assert sum(map(len, asked)) == MAX_QUESTIONS
    assert " ".join(said).split().count("tempfail") == 15 * 100 - MAX_QUESTIONS


def test_the_order_of_records_makes_no_difference() -> None:
    def said(*records: str) -> tuple[str, ...]:
        answer = Answer(Rcode.OK, records)
        return solve(one_by_one(together([names("a")])), lambda question: answer)

    assert said("x", "b", "c") == said("c", "x", "b") == ("b c x",)


def test_a_batch_is_a_lookup() -> None:
    assert solve(one_by_one(together([names("a", "b"), names("b")])), echo) == ("A B", "B")
    assert solve(one_by_one(together(list[Lookup[str]]())), echo) == ()


def test_an_event_loop_asks_at_once() -> None:
    under_way = most = 0

    async def resolve(question: Question) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return echo(question)

    batch = together([names("a", "x"), names("b"), names("c")])
    assert asyncio.run(solve_together(batch, resolve)) == ("A X", "B", "C")
    assert most == 3


def test_an_error_of_the_resolver_comes_out() -> None:
    async def resolve(question: Question) -> Answer:
        raise OSError(question.name)

    with pytest.raises(OSError, match="a"):
        asyncio.run(solve_together(together([names("a")]), resolve))
