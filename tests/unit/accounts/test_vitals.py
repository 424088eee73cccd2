"""The state of the database in probes and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from accounts.lookup.ask import Ask, DomainRow, RowAnswer, Unavailable
from accounts.sources.cache import StaleCache
from accounts.vitals import AccountsVitals
from gatepost.metrics import Probes


class Source:
    generation = 7

    def __init__(self) -> None:
        self.away = False

    def ask(self, asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
        if self.away:
            raise Unavailable("disk on fire")
        return (None,) * len(asks)

    async def close(self) -> None:
        pass


class Bench:
    """Vitals with a clock of their own."""

    def __init__(self) -> None:
        self.source = Source()
        self.cache = StaleCache()
        self.now = 1000.0
        self.vitals = AccountsVitals(
            self.source, self.cache, keep=60, tells=True, clock=lambda: self.now
        )
        self.probes = Probes()
        self.vitals.add_probes(self.probes)

    def look(self) -> tuple[list[str], list[str]]:
        asyncio.run(self.vitals.look())
        return self.probes.problems("/readyz"), self.probes.remarks("/readyz")


def test_it_is_not_ready_before_the_first_look() -> None:
    assert Bench().probes.problems("/readyz") == ["database: it has not been asked yet"]


def test_a_database_that_answers_is_not_worth_a_word() -> None:
    bench = Bench()
    assert bench.look() == ([], [])
    assert bench.probes.problems("/healthz") == []


def test_without_anything_known_it_is_not_ready() -> None:
    bench = Bench()
    bench.source.away = True
    bench.look()
    bench.now += 5
    assert bench.look() == (["database: away for 5 s, nothing is known: disk on fire"], [])
    assert bench.probes.problems("/healthz") == []  # a restart would not help


def test_what_is_known_keeps_it_ready_for_a_time() -> None:
    bench = Bench()
    bench.look()
    bench.cache.note([Ask("domain", "a.example")], [DomainRow("a.example")], 7, bench.now)
    bench.source.away = True
    bench.look()
    bench.now += 59
    problems, (remark,) = bench.look()
    assert problems == []
    assert remark.startswith("database: away for 59 s; known answers come from the cache")
    bench.now += 1
    (problem,), remarks = bench.look()
    assert problem.startswith("database: away for 60 s, nothing is known")
    assert remarks == []
    bench.source.away = False
    assert bench.look() == ([], [])
