"""Traces on a real PostgreSQL, with the driver alone, and processes that count attempts as one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.directory import app_passwords, domains, mailboxes
from accounts.snapshots.history import note_restore
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable, Invalid
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from accounts.traces.postgres import PostgresTraces
from accounts.traces.stored import StoredTraces
from accounts.traces.trace import LoginTraces
from gatepost.errors import StartError
from tests.daemon import accounts_postgres
from tests.daemon.accounts_process import AccountsDaemon, people
from tests.testbed.postgres import PostgresServer
from tests.testbed.waiting import wait_until

ANNA, BOB = "anna@example.org", "bob@example.org"
OLD, NEW = "{SSHA512}b2xkIGhhc2g=", "{SSHA512}bmV3IGhhc2g="


@pytest.fixture
def settings(postgres: PostgresServer) -> DatabaseSettings:
    return accounts_postgres.make(postgres)


def two(write: Write) -> None:
    domains.add(write, "example.org")
    for address in (ANNA, BOB):
        mailboxes.add(write, address, password=OLD)


def test_it_says_what_the_datastore_says(settings: DatabaseSettings) -> None:
    async def run() -> None:
        async with Database.open(settings) as database:
            stored, traces = StoredTraces(database), await PostgresTraces.open(settings)
            assert await traces.last_change() == await stored.last_change()
            first = await traces.last_change()
            await database.write(Actor("test"), two)
            with pytest.raises(Invalid):
                await database.write(
                    Actor("test"), lambda w: mailboxes.change(w, ANNA, None, password="clear")
                )
            assert await traces.last_change() == await stored.last_change() != first
            found = await traces.changes(first)
            assert found == await stored.changes(first)
            assert found is not None
            assert found.accounts == (ANNA, BOB)
            await database.write(Actor("test"), note_restore)
            assert await traces.changes(found.mark) is None
            assert await stored.changes(found.mark) is None
            await traces.close()

    asyncio.run(run())


def test_it_writes_uses(settings: DatabaseSettings) -> None:
    async def run() -> None:
        async with Database.open(settings) as database:
            await database.write(Actor("test"), two)
            row = await database.write(
                Actor("test"),
                lambda w: app_passwords.add(w, ANNA, "phone", password=OLD, protocols=["imap"]).id,
            )
            traces = await PostgresTraces.open(settings)
            generation = traces.generation
            upgraded = await traces.note(
                LoginTraces(
                    {ANNA: 100, "gone@example.org": 5},
                    {row: (200, "2001:db8::1\n" + "x" * 999), 999: (1, None)},
                    {ANNA: (OLD, NEW), BOB: ("{SSHA512}Y2hhbmdlZA==", NEW)},
                )
            )
            assert upgraded == [ANNA]
            anna = await database.read(lambda c: mailboxes.get(c, ANNA))
            assert (anna.last_login, anna.password) == (100, NEW)
            (used,) = await database.read(lambda c: app_passwords.find(c, ANNA))
            assert used.last_used == 200
            assert used.last_client is not None
            assert len(used.last_client) <= 410
            bob = await database.read(lambda c: mailboxes.get(c, BOB))
            assert (bob.last_login, bob.password) == (None, OLD)
            with pytest.raises(Invalid):
                await traces.note(LoginTraces(hashed={ANNA: (NEW, "clear text")}))
            assert await traces.note(LoginTraces()) == []
            assert await traces.wait_for_change(-1, 0) == generation
            await traces.close()

    asyncio.run(run())


def test_changes_are_heard_and_a_lost_connection_is_made_again(
    postgres: PostgresServer, settings: DatabaseSettings
) -> None:
    async def run() -> None:
        async with Database.open(settings) as database:
            traces = await PostgresTraces.open(settings)
            generation = traces.generation
            heard: list[str] = []
            await traces.listen("other", heard.append)
            for number in range(2):
                waiting = asyncio.create_task(traces.wait_for_change(generation, 30))
                await asyncio.sleep(0)
                name = f"d{number}.example"
                await database.write(Actor("test"), lambda w, n=name: domains.add(w, n))  # type: ignore[misc]
                async with asyncio.timeout(5):
                    generation = await waiting
                assert generation == number + 1
                await traces.notify("other", f"text {number}")
                end_sessions(postgres)
                with contextlib.suppress(DatastoreUnavailable):  # as soon as it is noticed
                    await traces.last_change()
            await traces.notify("gatepost_accounts", "no number")
            await traces.notify("other", "text 2")
            async with asyncio.timeout(5):
                while len(heard) < 3:
                    await asyncio.sleep(0.01)
            assert heard == ["text 0", "text 1", "text 2"]
            await traces.close()
            # a channel that is the reason for the connection is heard once, too
            await traces.listen("third", heard.append)
            await traces.notify("third", "text 3")
            await traces.notify("third", "text 4")
            async with asyncio.timeout(5):
                while heard[-1] != "text 4":
                    await asyncio.sleep(0.01)
            assert heard[3:] == ["text 3", "text 4"]
            await traces.close()

    def end_sessions(server: PostgresServer) -> None:
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'gatepost accounts' AND query LIKE '%notify%'",
            database="migrated",
        )

    asyncio.run(run())


def test_other_data_are_refused(postgres: PostgresServer) -> None:
    async def run(url: str) -> None:
        await (await PostgresTraces.open(DatabaseSettings(url=url))).close()

    with pytest.raises(StartError, match="no data of Gatepost yet"):
        asyncio.run(run(postgres.new_database()))
    settings = accounts_postgres.make(postgres)
    postgres.sql("UPDATE alembic_version SET version_num = '0999'", database="migrated")
    with pytest.raises(StartError, match="later version of Gatepost"):
        asyncio.run(run(settings.url))


def test_a_server_that_is_away(tmp_path: Path) -> None:
    async def run() -> None:
        url = f"postgresql://x@/gate?host={tmp_path}&ssl=disable"
        traces = await PostgresTraces.open(DatabaseSettings(url=url))
        with pytest.raises(DatastoreUnavailable):
            await traces.last_change()
        with pytest.raises(DatastoreUnavailable):
            await traces.wait_for_change(0, 10)
        await traces.close()

    asyncio.run(run())


@pytest.fixture
def pair(postgres: PostgresServer, tmp_path: Path) -> Iterator[tuple[AccountsDaemon, ...]]:
    """Two processes on one database."""
    key = tmp_path / "key"
    key.write_text(base64.b64encode(b"k" * 32).decode())
    key.chmod(0o600)
    url = postgres.new_database()
    made = tuple(AccountsDaemon(tmp_path / name, url=url) for name in ("one", "other"))
    made[0].change(people)
    for one in made:
        one.write({"attempts": {"hold": 0}, "database": {"url": url, "key_file": str(key)}})
    with made[0], made[1]:
        yield made


def remembered(gate: AccountsDaemon) -> float:
    return gate.daemon.metric("gatepost_accounts_attempts_remembered")


def test_wrong_passwords_at_one_process_make_wait_at_the_other(
    pair: tuple[AccountsDaemon, ...],
) -> None:
    one, other = pair
    for gate in pair:
        gate.daemon.wait_for_log(event="wrong passwords are counted together", authenticated=True)
    for number in range(3):
        assert one.log_in(ANNA, f"guess {number}", "198.51.100.7").startswith("FAIL")
    wait_until(lambda: remembered(other) == 2, "the other to hear of it")
    for number in range(3, 5):
        assert other.log_in(ANNA, f"guess {number}", "203.0.113.9").startswith("FAIL")
    assert other.log_in(ANNA, client="203.0.113.9") == "closed"
    wait_until(lambda: remembered(one) == 3, "the first to hear of it")  # of the second network
    assert one.log_in(ANNA, client="192.0.2.77") == "closed"
    assert other.log_in(BOB, client="192.0.2.1").startswith("OK")
