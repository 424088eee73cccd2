import asyncio
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from accounts.answers import NOT_FOUND, Answers, MapFound
from accounts.lookup.ask import (
    AliasRow,
    AppPasswordRow,
    Ask,
    DomainRow,
    LoginRow,
    MailboxRow,
    Unavailable,
    Unresolvable,
)
from accounts.lookup.postfix import MapText
from accounts.sources.cache import StaleCache
from accounts.sources.sqlite import _NAME, LOOK, RETRY, WAIT, SqliteSource
from tests.unit.accounts.lookup.filled import fill_file
from tests.unit.accounts.lookup.sample import CASES, sample_world
from tests.unit.accounts.lookup.test_model import worlds
from tests.unit.accounts.lookup.world import NOW, World

ANNA = Ask("name", "anna@example.org")


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("accounts") / "accounts.db"
    fill_file(str(path), sample_world())
    return path


@pytest.fixture
def own_path(path: Path, tmp_path: Path) -> Path:
    shutil.copy(path, tmp_path / "accounts.db")
    return tmp_path / "accounts.db"


@pytest.fixture
def source(path: Path) -> Iterator[SqliteSource]:
    source = SqliteSource(path)
    yield source
    asyncio.run(source.close())


@pytest.mark.parametrize(("table", "key", "answer"), CASES)
def test_answers_are_those_of_the_rules(
    source: SqliteSource, table: str, key: str, answer: MapText
) -> None:
    answers = Answers(source, StaleCache(), clock=lambda: NOW)
    expected = MapFound(answer) if isinstance(answer, str) else NOT_FOUND
    assert asyncio.run(answers.look_up(table, key)) == expected


def all_asks(world: World) -> list[Ask]:
    keys = {*world.domains, *world.mailboxes, *world.aliases, "nobody@one.example", "none.example"}
    keys |= {sender for _, sender in world.rights}
    return [
        Ask(table, key)
        for key in sorted(keys)
        for table in ("domain", "name", "wildcards", "rights", "rules")
    ]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds())
def test_rows_are_those_of_any_datastore(tmp_path: Path, world: World) -> None:
    path = tmp_path / "accounts.db"
    path.unlink(missing_ok=True)
    fill_file(str(path), world)
    source = SqliteSource(path)
    asks = all_asks(world)
    for ask, answer, expected in zip(asks, source.ask(asks), world.answers(asks), strict=True):
        if ask.table == "wildcards":
            assert isinstance(answer, tuple)
            assert isinstance(expected, tuple)
            assert sorted(answer, key=str) == sorted(expected, key=str)
        else:
            assert answer == expected
            assert type(answer) is type(expected)
    asyncio.run(source.close())


def test_a_login_has_its_app_passwords(own_path: Path) -> None:
    db = sqlite3.connect(own_path)
    (number,) = db.execute("SELECT id FROM mailbox WHERE address = 'anna@example.org'").fetchone()
    db.execute("UPDATE mailbox SET password = '{X}y', quota = 5 WHERE id = ?", (number,))
    db.execute(
        "INSERT INTO app_password (mailbox_id, name, password, protocols, created, expires)"
        " VALUES (?, 'phone \"1\"', '{X}z', 'imap smtp', 1, 7)",
        (number,),
    )
    db.commit()
    db.close()
    source = SqliteSource(own_path)
    login, gone, off, nobody = source.ask(
        [
            Ask("login", "anna@example.org"),
            Ask("login", "gone@example.org"),
            Ask("login", "box@off.example"),
            Ask("login", "nobody@example.org"),
        ]
    )
    phone = AppPasswordRow(1, 'phone "1"', "{X}z", "imap smtp", 7)
    assert login == LoginRow(
        number, "anna@example.org", "", "{X}y", 5, True, True, True, True, None, (phone,)
    )
    assert isinstance(gone, LoginRow)
    assert isinstance(off, LoginRow)
    assert not gone.enabled
    assert not off.enabled
    assert nobody is None
    asyncio.run(source.close())


def test_writes_of_others_are_seen_by_the_next_question(own_path: Path) -> None:
    source = SqliteSource(own_path)
    ask = Ask("name", "anna@example.org")
    (before,) = source.ask([ask])
    db = sqlite3.connect(own_path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE mailbox SET enabled = 0 WHERE address = 'anna@example.org'")
    assert source.ask([ask]) == (before,)  # not committed
    db.execute("COMMIT")
    (after,) = source.ask([ask])
    assert isinstance(before, MailboxRow)
    assert before.enabled
    assert after == before._replace(enabled=False)
    db.close()
    asyncio.run(source.close())


def test_the_generation_is_seen_soon(own_path: Path) -> None:
    clock = Time()
    source = SqliteSource(own_path, clock)
    source.ask([Ask("domain", "example.org")])
    assert source.generation == 1
    db = sqlite3.connect(own_path)
    db.execute("UPDATE state SET generation = 2")
    db.commit()
    db.close()
    clock.now += LOOK
    source.ask([Ask("domain", "example.org")])
    assert source.generation == 2
    asyncio.run(source.close())


def test_nothing_can_be_written(own_path: Path) -> None:
    source = SqliteSource(own_path)
    source.ask([Ask("domain", "example.org")])
    connection = source._connection
    assert connection is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("UPDATE state SET generation = 9")
    asyncio.run(source.close())


@pytest.mark.parametrize("key", ["a\0b@example.org", "a\ud800@example.org", "x'; DROP TABLE name"])
def test_a_hostile_key_is_not_there(source: SqliteSource, key: str) -> None:
    asks = [Ask("name", key), Ask("rights", key), Ask("domain", "example.org")]
    assert source.ask(asks) == (None, (), DomainRow("example.org"))


def test_a_file_that_is_replaced_is_opened_anew(own_path: Path) -> None:
    clock = Time()
    source = SqliteSource(own_path, clock)
    ask = Ask("domain", "new.example")
    assert source.ask([ask]) == (None,)
    world = World()
    world.add(DomainRow("new.example"))
    fill_file(str(own_path) + ".new", world)
    os.replace(str(own_path) + ".new", own_path)
    for suffix in ("-wal", "-shm"):
        own_path.with_name(own_path.name + suffix).unlink(missing_ok=True)
    clock.now += LOOK
    assert source.ask([ask]) == (DomainRow("new.example"),)
    asyncio.run(source.close())


def test_a_file_that_is_gone_damaged_or_empty_is_unavailable(own_path: Path) -> None:
    clock = Time()
    source = SqliteSource(own_path, clock)
    ask = Ask("domain", "example.org")
    assert source.ask([ask]) == (DomainRow("example.org"),)
    own_path.rename(own_path.with_suffix(".away"))
    clock.now += LOOK
    for _ in range(2):
        with pytest.raises(Unavailable):
            source.ask([ask])
        assert not own_path.exists()
    for content in (b"", b"no database at all" * 1000):
        own_path.write_bytes(content)
        clock.now += LOOK
        with pytest.raises(Unavailable):
            source.ask([ask])
        own_path.unlink()
    own_path.with_suffix(".away").rename(own_path)
    clock.now += LOOK
    assert source.ask([ask]) == (DomainRow("example.org"),)
    asyncio.run(source.close())
    with pytest.raises(Unavailable, match="closed"):
        source.ask([ask])


def test_a_lock_of_another_process_is_unavailable_and_soon_over(own_path: Path) -> None:
    db = sqlite3.connect(own_path, isolation_level=None)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("UPDATE state SET generation = 5")
    db.execute("COMMIT")
    clock = Time()
    source = SqliteSource(own_path, clock)
    ask = Ask("domain", "example.org")
    with pytest.raises(Unavailable, match="locked"):
        source.ask([ask])
    start = time.monotonic()
    for _ in range(1000):  # the event loop does not wait for each
        with pytest.raises(Unavailable, match="locked"):
            source.ask([ask])
    assert time.monotonic() - start < 1000 * WAIT / 2
    db.close()
    clock.now += RETRY
    assert source.ask([ask]) == (DomainRow("example.org"),)
    asyncio.run(source.close())


def test_too_many_wildcards_are_no_reason_to_forget_some(own_path: Path) -> None:
    world = World()
    world.add(DomainRow("example.org"), DomainRow("other.example"))
    world.add(*(AliasRow(f"w{number}-*@example.org") for number in range(1001)))
    own_path.unlink()
    fill_file(str(own_path), world)
    source = SqliteSource(own_path)
    with pytest.raises(Unresolvable, match="more than 1000"):
        source.ask([Ask("wildcards", "example.org")])
    assert source.ask([Ask("wildcards", "other.example")]) == ((),)
    asyncio.run(source.close())


def test_nobody_is_unknown_or_waits_while_others_write(own_path: Path) -> None:
    """Another connection commits all the time, and empties the write-ahead log."""
    is_over = threading.Event()
    commits = 0

    def write() -> None:
        nonlocal commits
        db = sqlite3.connect(own_path, isolation_level=None)
        while not is_over.is_set():
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE state SET generation = generation + 1")
            db.execute("UPDATE mailbox SET last_login = 1 WHERE address = 'anna@example.org'")
            db.execute("COMMIT")
            commits += 1
            if commits % 10 == 0:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()

    source = SqliteSource(own_path)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        asked = 0
        while commits < 200 or asked < 2000:
            (domain, box) = source.ask([Ask("domain", "example.org"), ANNA])
            assert domain == DomainRow("example.org")
            assert box == MailboxRow("anna@example.org")
            asked += 1
    finally:
        is_over.set()
        thread.join()
    asyncio.run(source.close())


def test_a_name_is_read_from_an_index_alone(own_path: Path) -> None:
    db = sqlite3.connect(own_path)
    plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {_NAME}", ("a@b.example",))]
    db.close()
    for table in ("m", "a"):
        (search,) = [step for step in plan if step.startswith(f"SEARCH {table} ")]
        assert " USING COVERING INDEX " in search
