"""Look-ups in a real PostgreSQL, also while it is stopped, paused and killed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from accounts.answers import (
    NOT_FOUND,
    Answers,
    MapAnswer,
    MapFound,
    MapNotFound,
    MapTemporary,
)
from accounts.lookup.ask import (
    TABLES,
    AliasRow,
    AppPasswordRow,
    Ask,
    DomainRow,
    LoginRow,
    Unavailable,
    Unresolvable,
)
from accounts.sources import postgres as source_module
from accounts.sources.cache import StaleCache
from accounts.sources.postgres import PostgresSource, connect_arguments
from tests.testbed.postgres import PostgresServer
from tests.unit.accounts.lookup.filled import fill
from tests.unit.accounts.lookup.sample import CASES, sample_world
from tests.unit.accounts.lookup.world import NOW, World

TIMEOUT = 1.0
"""Seconds after which a server counts as away, where that is what the test is about."""
PATIENCE = 60.0
"""The same where it is not."""
ANNA = Ask("name", "anna@example.org")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def new_database(server: PostgresServer, world: World) -> str:
    url = server.new_database()

    async def make() -> None:
        engine = create_async_engine(
            url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool
        )
        async with engine.begin() as connection:
            await connection.run_sync(fill, world)
        await engine.dispose()

    asyncio.run(make())
    return url


@pytest.fixture(scope="module")
def url(server: PostgresServer) -> str:
    return new_database(server, sample_world())


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[PostgresSource]:
    source = PostgresSource(connect_arguments(url), **{"timeout": PATIENCE, **options})
    source.start()
    try:
        yield source
    finally:
        await source.close()


async def until(condition: Callable[[], Awaitable[bool] | bool], within: float = 20.0) -> float:
    """Wait for a state; returns how many seconds it took."""
    start = time.monotonic()
    while True:
        now = condition()
        if now if isinstance(now, bool) else await now:
            return time.monotonic() - start
        assert time.monotonic() - start < within
        await asyncio.sleep(0.01)


def test_answers_are_those_of_the_rules(url: str) -> None:
    async def run() -> list[MapAnswer]:
        async with opened(url) as source:
            answers = Answers(source, StaleCache(), clock=lambda: NOW)
            return await asyncio.gather(*(answers.look_up(table, key) for table, key, _ in CASES))

    for (_, key, answer), result in zip(CASES, asyncio.run(run()), strict=True):
        assert result == (MapFound(answer) if isinstance(answer, str) else NOT_FOUND), key


def test_rows_are_those_of_the_world(url: str) -> None:
    world = sample_world()
    keys = [*world.domains, *world.mailboxes, *world.aliases, "none.example", "x@example.org"]
    keys += [sender for _, sender in world.rights]
    asks = [Ask(t, key) for key in keys for t in TABLES if t != "login"]

    async def run() -> tuple[Any, ...]:
        async with opened(url) as source:
            return await source.ask(asks)

    for ask, answer, expected in zip(asks, asyncio.run(run()), world.answers(asks), strict=True):
        if ask.table == "wildcards":
            assert sorted(answer, key=str) == sorted(expected, key=str)  # type: ignore[arg-type]
        else:
            assert answer == expected
            assert type(answer) is type(expected)


def test_a_login_has_its_app_passwords(server: PostgresServer) -> None:
    url = new_database(server, sample_world())
    database = url.partition("@/")[2].partition("?")[0]
    number = int(
        server.sql("SELECT id FROM mailbox WHERE address = 'anna@example.org'", database=database)
    )
    server.sql(
        "UPDATE mailbox SET password = '{X}y', quota = 5 WHERE address = 'anna@example.org';"
        "INSERT INTO app_password (mailbox_id, name, password, protocols, created, expires)"
        " SELECT id, 'phone \"1\"', '{X}z', 'imap smtp', 1, 7"
        " FROM mailbox WHERE address = 'anna@example.org'",
        database=database,
    )

    async def run() -> tuple[Any, ...]:
        async with opened(url) as source:
            names = ("anna@example.org", "gone@example.org", "box@off.example", "x@example.org")
            return await source.ask([Ask("login", name) for name in names])

    anna, gone, off, nobody = asyncio.run(run())
    phone = AppPasswordRow(1, 'phone "1"', "{X}z", "imap smtp", 7)
    assert anna == LoginRow(
        number, "anna@example.org", "", "{X}y", 5, True, True, True, True, None, (phone,)
    )
    assert not gone.enabled
    assert not off.enabled
    assert nobody is None


@pytest.mark.parametrize("key", ["a\0b@example.org", "a\ud800@example.org", "'; DROP TABLE name"])
def test_a_hostile_key_is_not_there_and_harms_no_other(url: str, key: str) -> None:
    async def run() -> tuple[Any, Any]:
        async with opened(url) as source:
            return await asyncio.gather(
                source.ask([Ask("name", key), Ask("rights", key)]), source.ask([ANNA])
            )

    hostile, anna = asyncio.run(run())
    assert hostile == (None, ())
    assert anna[0].address == "anna@example.org"


def test_questions_that_wait_go_into_one_query(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> int:
        async with opened(url, connections=1) as source:
            await source.ask([ANNA])
            queries = 0
            answer = source._answer

            async def count(*arguments: Any) -> None:
                nonlocal queries
                queries += 1
                await answer(*arguments)

            monkeypatch.setattr(source, "_answer", count)
            await asyncio.gather(
                *(source.ask([Ask("name", f"{number}@example.org"), ANNA]) for number in range(400))
            )
            return queries

    assert asyncio.run(run()) == 1


def test_a_domain_with_too_many_wildcards_harms_no_other(server: PostgresServer) -> None:
    world = World()
    world.add(DomainRow("many.example"), DomainRow("one.example"))
    world.add(AliasRow("w-*@one.example"))
    world.add(*(AliasRow(f"w{number}-*@many.example") for number in range(1001)))
    url = new_database(server, world)

    async def run() -> Any:
        async with opened(url) as source:
            many, one = await asyncio.gather(
                source.ask([Ask("wildcards", "many.example")]),
                source.ask([Ask("wildcards", "one.example")]),
                return_exceptions=True,
            )
            return many, one

    many, one = asyncio.run(run())
    assert isinstance(many, Unresolvable)
    assert one == ((AliasRow("w-*@one.example"),),)


@pytest.mark.parametrize(
    ("look", "told"),
    [(1000.0, "; NOTIFY gatepost_accounts, 'nonsense'; NOTIFY gatepost_accounts, '2'"), (0.1, "")],
)
def test_changes_are_heard_of_or_looked_for(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, look: float, told: str
) -> None:
    monkeypatch.setattr(source_module, "LOOK", look)
    url = new_database(server, sample_world())
    database = url.partition("@/")[2].partition("?")[0]
    heard: list[int] = []

    async def run() -> None:
        async with opened(url, changed=heard.append) as source:
            await until(lambda: heard == [1])
            statement = f"UPDATE state SET generation = 2{told}"  # noqa: S608
            await asyncio.to_thread(server.sql, statement, database=database)
            await until(lambda: heard == [1, 2])
            assert source.generation == 2

    asyncio.run(run())


def test_a_table_that_is_missing_is_unavailable(server: PostgresServer) -> None:
    url = new_database(server, World())
    database = url.partition("@/")[2].partition("?")[0]
    server.sql("DROP TABLE sender_right", database=database)

    async def run() -> None:
        async with opened(url) as source:
            with pytest.raises(Unavailable, match="sender_right"):
                await source.ask([Ask("rights", "a@example.org")])
            assert await source.ask([ANNA]) == (None,)
            assert not source.is_away

    asyncio.run(run())


def test_a_server_that_is_not_there_is_unavailable_at_once(server: PostgresServer) -> None:
    async def run() -> None:
        arguments = connect_arguments("postgresql://x@/x?host=/nowhere")
        source = PostgresSource(arguments, timeout=TIMEOUT)
        source.start()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await source.ask([ANNA])
        start = time.monotonic()
        for _ in range(100):
            with pytest.raises(Unavailable):
                await source.ask([ANNA])
        assert time.monotonic() - start < TIMEOUT
        await source.close()
        with pytest.raises(Unavailable, match="ended"):
            await source.ask([ANNA])

    asyncio.run(run())


def test_whoever_stops_waiting_harms_no_other(url: str) -> None:
    async def run() -> None:
        async with opened(url) as source:

            async def ask() -> Any:
                return await source.ask([ANNA])

            tasks = [asyncio.create_task(ask()) for _ in range(10)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
            assert all(isinstance(result, tuple) for result in results[1::2])

    asyncio.run(run())


@dataclass
class Load:
    """Sixteen clients that ask for mailboxes that exist, all the time."""

    source: PostgresSource
    answers: Answers
    found: int = 0
    temporary: int = 0
    wrong: list[Any] = field(default_factory=list)
    slowest: float = 0.0
    counts_from: float = 0.0
    is_over: bool = False

    def __post_init__(self) -> None:
        self.tasks = [asyncio.create_task(self._client(number)) for number in range(16)]

    def forget_times(self) -> None:
        """Let `slowest` be that of the look-ups that begin from now on."""
        self.slowest, self.counts_from = 0.0, time.monotonic()

    async def _client(self, number: int) -> None:
        known = [
            ("mailboxes", "anna@example.org", "anna@example.org"),
            (
                "aliases",
                "info+x@example.org",
                "anna+x@example.org, ben+x@example.org, ben@other.example",
            ),
            ("domains", "example.org", "example.org"),
        ]
        count = number
        while not self.is_over:
            count += 16
            # one that is known, and one that nobody asked for before
            extension = f"anna+{count}@example.org"
            for table, key, right in [*known, ("mailboxes", extension, "anna@example.org")]:
                start = time.monotonic()
                result = await self.answers.look_up(table, key)
                if start >= self.counts_from:
                    self.slowest = max(self.slowest, time.monotonic() - start)
                if result == MapFound(right):
                    self.found += 1
                elif isinstance(result, MapTemporary):
                    self.temporary += 1
                    await asyncio.sleep(0.005)
                else:
                    self.wrong.append((table, key, result))

    async def end(self) -> None:
        self.is_over = True
        await asyncio.gather(*self.tasks)


@contextlib.asynccontextmanager
async def under_load(url: str, timeout: float = PATIENCE) -> AsyncIterator[Load]:
    async with opened(url, timeout=timeout) as source:
        load = Load(source, Answers(source, StaleCache(), clock=lambda: NOW))
        await until(lambda: load.found > 200)
        yield load
        load.temporary, before = 0, load.found
        await until(lambda: load.found > before + 200)
        await load.end()
        assert load.wrong == []
        assert load.temporary == 0


async def check_while_away(load: Load) -> None:
    """Known keys are answered at once while the database is away, others are temporary."""
    await until(lambda: load.source.is_away)
    before = load.found, load.temporary
    load.forget_times()
    await until(lambda: load.found > before[0] + 200 and load.temporary > before[1] + 50)
    assert load.slowest < TIMEOUT
    result = await load.answers.look_up("mailboxes", "never-asked@example.org")
    assert result == MapTemporary("the database is away")


async def check_recovery(load: Load) -> None:
    assert await until(lambda: not load.source.is_away) < 5 * TIMEOUT
    assert isinstance(await load.answers.look_up("mailboxes", "nobody@example.org"), MapNotFound)


def test_the_server_is_stopped_under_load(server: PostgresServer, url: str) -> None:
    async def run() -> None:
        async with under_load(url) as load:
            await asyncio.to_thread(server.stop)
            await check_while_away(load)
            await asyncio.to_thread(server.start)
            await check_recovery(load)

    asyncio.run(run())


def test_the_server_is_paused_under_load(server: PostgresServer, url: str) -> None:
    async def run() -> None:
        async with under_load(url, TIMEOUT) as load:
            load.forget_times()
            server.pause()
            try:
                assert await until(lambda: load.source.is_away) < 3 * TIMEOUT
                assert load.slowest < 2.5 * TIMEOUT
                await check_while_away(load)
            finally:
                server.resume()
            await check_recovery(load)

    asyncio.run(run())


def test_the_server_is_killed_under_load(server: PostgresServer, url: str) -> None:
    async def run() -> None:
        async with under_load(url) as load:
            await asyncio.to_thread(server.kill)
            await check_while_away(load)
            await asyncio.to_thread(server.start)
            await check_recovery(load)

    asyncio.run(run())


def test_sessions_that_are_ended_are_not_noticed(server: PostgresServer, url: str) -> None:
    """The server goes on: nobody gets a temporary error."""
    database = url.partition("@/")[2].partition("?")[0]

    async def run() -> None:
        async with under_load(url) as load:
            load.temporary = 0
            for _ in range(3):
                ended = await asyncio.to_thread(
                    server.sql,
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
                    database=database,
                )
                assert int(ended) > 0
                before = load.found
                await until(lambda before=before: load.found > before + 200)  # type: ignore[misc]
            assert load.temporary == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("postgresql://u@h/d", {"user": "u", "host": "h", "database": "d"}),
        (
            "postgresql://u%40x@h:5433/d?ssl=verify-full",
            {"user": "u@x", "host": "h", "port": 5433, "database": "d", "ssl": "verify-full"},
        ),
        (
            "postgresql://u@/d?host=/run/postgresql&port=5433",
            {"user": "u", "host": "/run/postgresql", "port": 5433, "database": "d"},
        ),
    ],
)
def test_urls(url: str, arguments: dict[str, Any]) -> None:
    assert connect_arguments(url) == arguments
