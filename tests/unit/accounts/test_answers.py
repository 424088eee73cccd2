import asyncio
from collections.abc import Sequence
from typing import Literal

import pytest

from accounts.answers import NOT_FOUND, Answers, LookupOutcome, MapAnswer, MapFound, MapTemporary
from accounts.lookup.ask import (
    AliasRow,
    Ask,
    DomainRow,
    LoginRow,
    MailboxRow,
    RowAnswer,
    RowLookup,
    Unavailable,
)
from accounts.lookup.find import find_domain
from accounts.lookup.postfix import MapText
from accounts.sources.cache import CacheLimits, StaleCache
from tests.unit.accounts.lookup.sample import CASES, sample_world
from tests.unit.accounts.lookup.world import NOW, World

LIMITS = CacheLimits(keep=1000, keep_changed=100, trust_missing=10)


class Source:
    """A world that can be away, or answer later."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.generation = 1
        self.state: Literal["there", "later", "away", "broken"] = "there"

    def ask(
        self, asks: Sequence[Ask]
    ) -> "tuple[RowAnswer, ...] | asyncio.Future[tuple[RowAnswer, ...]]":
        if self.state == "broken":
            raise RuntimeError("a mistake")
        if self.state == "away":
            raise Unavailable("away")
        if self.state == "there":
            return self.world.answers(asks)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, self.world.answers(asks))
        return future

    async def close(self) -> None:
        pass


class Counts:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bool]] = []

    def answered(self, table: str, answer: str, is_stale: bool) -> None:
        self.seen.append((table, answer, is_stale))


class Bench:
    def __init__(self, world: World) -> None:
        self.source = Source(world)
        self.counts = Counts()
        self.now = 0.0
        self.answers = Answers(
            self.source,
            StaleCache(LIMITS),
            observer=self.counts,
            clock=lambda: NOW,
            monotonic=lambda: self.now,
        )

    def ask(self, table: str, key: str) -> MapAnswer:
        return asyncio.run(self.answers.look_up(table, key))


@pytest.fixture
def bench() -> Bench:
    return Bench(sample_world())


def right(answer: MapText) -> MapAnswer:
    return MapFound(answer) if isinstance(answer, str) else NOT_FOUND


@pytest.mark.parametrize("state", ["there", "later"])
def test_rules_are_driven(bench: Bench, state: Literal["there", "later"]) -> None:
    bench.source.state = state
    for table, key, answer in CASES:
        assert bench.ask(table, key) == right(answer)
    assert bench.counts.seen[0] == ("domains", "found", False)
    assert {kind for _, kind, _ in bench.counts.seen} == {"found", "not_found"}


def test_known_answers_are_served_while_the_database_is_away(bench: Bench) -> None:
    for table, key, _ in CASES:
        bench.ask(table, key)
    bench.source.state = "away"
    bench.now = 10
    for table, key, answer in CASES:
        assert bench.ask(table, key) == right(answer)
    bench.now = 11
    bench.counts.seen.clear()
    for table, key, answer in CASES:
        if isinstance(answer, str):
            assert bench.ask(table, key) == MapFound(answer)
        else:
            assert bench.ask(table, key) in (NOT_FOUND, MapTemporary("the database is away"))
    assert ("mailboxes", "found", True) in bench.counts.seen
    assert ("mailboxes", "temporary", True) in bench.counts.seen
    bench.now = 1001
    for table, key, answer in CASES:
        if isinstance(answer, str):
            assert bench.ask(table, key) == MapTemporary("the database is away")


@pytest.mark.parametrize("table", ["domains", "relay", "mailboxes", "aliases", "senders"])
def test_what_was_never_asked_is_temporary(bench: Bench, table: str) -> None:
    bench.source.state = "away"
    assert bench.ask(table, "nobody@example.org") == MapTemporary("the database is away")


def test_mail_is_not_refused_for_what_was_missing_a_while_ago(bench: Bench) -> None:
    for table in ("aliases", "mailboxes"):
        assert bench.ask(table, "new@example.org") == NOT_FOUND
    bench.source.world.add(MailboxRow("new@example.org"))  # by way of another process
    bench.source.state = "away"
    bench.now = 11
    for table in ("aliases", "mailboxes"):
        assert bench.ask(table, "new@example.org") == MapTemporary("the database is away")


def test_known_mailboxes_get_mail_while_the_database_is_away_for_long(bench: Bench) -> None:
    """No entry is not the same as unknown: Postfix asks all of these for one message."""
    asked = [
        ("domains", "example.org"),
        ("transport", "anna@example.org"),
        ("aliases", "anna@example.org"),
        ("mailboxes", "anna@example.org"),
        ("transport", "anna+x@example.org"),
        ("aliases", "anna+x@example.org"),
        ("mailboxes", "anna+x@example.org"),
        ("transport", "*"),
    ]
    before = [bench.ask(table, key) for table, key in asked]
    bench.source.state = "away"
    bench.now = 999
    assert [bench.ask(table, key) for table, key in asked] == before


def test_rows_from_before_a_change_are_served_for_a_shorter_time(bench: Bench) -> None:
    bench.ask("mailboxes", "anna@example.org")
    bench.source.generation = 2
    bench.source.state = "away"
    bench.now = 100
    assert bench.ask("mailboxes", "anna@example.org") == MapFound("anna@example.org")
    bench.now = 101
    assert bench.ask("mailboxes", "anna@example.org") == MapTemporary("the database is away")


def test_the_database_is_asked_whenever_it_answers(bench: Bench) -> None:
    bench.ask("mailboxes", "anna@example.org")
    del bench.source.world.mailboxes["anna@example.org"]
    assert bench.ask("mailboxes", "anna@example.org") == NOT_FOUND


def test_rows_that_contradict_one_another_are_temporary(bench: Bench) -> None:
    result = bench.ask("aliases", "loop1@example.org")
    assert isinstance(result, MapTemporary)
    assert "lead only to one another" in result.reason


def test_a_mistake_of_ours_is_temporary(bench: Bench) -> None:
    bench.source.state = "broken"
    assert bench.ask("aliases", "anna@example.org") == MapTemporary("internal error")


def test_a_map_that_does_not_exist_is_temporary(bench: Bench) -> None:
    assert bench.ask("alaises", "anna@example.org") == MapTemporary("there is no such map")
    assert bench.counts.seen == [("other", "temporary", False)]


def test_a_change_of_several_rows_in_the_midst_of_a_look_up_refuses_nobody() -> None:
    """A mailbox is renamed between the round for the alias and the round for its target."""
    world = World()
    world.add(
        DomainRow("example.org"),
        AliasRow("info@example.org", targets=("old@example.org",)),
        MailboxRow("old@example.org"),
    )

    class Renaming(Source):
        def ask(self, asks: Sequence[Ask]) -> tuple[RowAnswer, ...]:
            answers = world.answers(asks)
            if world.rounds == 1:
                del world.mailboxes["old@example.org"]
                world.add(MailboxRow("new@example.org"))
                world.add(AliasRow("info@example.org", targets=("new@example.org",)))
            return answers

    answers = Answers(Renaming(world), StaleCache(), clock=lambda: NOW)
    assert asyncio.run(answers.look_up("aliases", "info@example.org")) == MapFound(
        "new@example.org"
    )


def test_any_look_up_can_be_driven(bench: Bench) -> None:
    async def drive() -> LookupOutcome[bool]:
        driven = await bench.answers.drive(find_domain("example.org"))
        return LookupOutcome(driven.result is not None, driven.is_stale, driven.is_doubtful)

    assert asyncio.run(drive()) == LookupOutcome(True, is_stale=False, is_doubtful=False)
    bench.source.state = "away"
    assert asyncio.run(drive()) == LookupOutcome(True, is_stale=True, is_doubtful=False)
    bench.now = 1001
    with pytest.raises(Unavailable):
        asyncio.run(drive())


def test_nobody_logs_in_from_the_cache(bench: Bench) -> None:
    row = LoginRow(1, "anna@example.org", "", "{X}y", None, True, True, True, True, None)
    bench.source.world.logins[row.address] = row

    def lookup() -> RowLookup[tuple[RowAnswer, ...]]:
        return (yield (Ask("login", "anna@example.org"),))

    assert asyncio.run(bench.answers.drive(lookup())).result == (row,)
    bench.source.state = "away"
    with pytest.raises(Unavailable):
        asyncio.run(bench.answers.drive(lookup()))
