"""Traces of logins, and when they are given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from accounts import uses
from accounts.directory import domains, mailboxes
from accounts.login import LoggedIn, Login, LoginOutcome, Reason, Upgrade
from accounts.passwords import Password, PasswordSettings, PasswordWorkers
from accounts.store import migrate
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable
from accounts.store.file import OpenedFile
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from accounts.traces.sqlite import SqliteTraces
from accounts.traces.stored import StoredTraces
from accounts.traces.trace import Traces
from accounts.uses import Uses

ANNA = "anna@example.org"
SECRET = Password("correct horse battery")
OLD = "{SSHA512}b2xkIGhhc2g="


@pytest.fixture
def database(tmp_path: Path) -> Database:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path}/accounts.db")
    migrate.upgrade(settings)
    return Database.open(settings)


@pytest.fixture(params=["datastore", "plain"])
def traces(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Traces:
    if request.param == "datastore":
        return StoredTraces(database)
    return SqliteTraces.open(OpenedFile(tmp_path / "accounts.db"), 10)


@asynccontextmanager
async def closing(traces: Traces) -> AsyncIterator[None]:
    yield
    await traces.close()


def people(write: Write) -> int:
    domains.add(write, "example.org")
    return mailboxes.add(write, ANNA, password=OLD).id


def stored(database: Database) -> Callable[[Any], str]:
    return lambda connection: str(
        connection.exec_driver_sql("SELECT password FROM mailbox").scalar_one()
    )


def login(row: int, at: int, *, upgrade: bool = False) -> Login:
    effects = (LoggedIn(row, at), *((Upgrade(row, OLD),) if upgrade else ()))
    return Login(LoginOutcome.OK, Reason.OK, ANNA, effects=effects)


def test_the_latest_use_is_written_and_the_generation_stays(
    database: Database, traces: Traces
) -> None:
    async def run() -> None:
        async with database, closing(traces):
            row = await database.write(Actor("x"), people)
            generation = database.generation
            workers = PasswordWorkers(PasswordSettings(memory=8192, passes=1))
            waiting = Uses(traces, lambda: workers)
            for at in (100, 300):
                waiting.add(login(row, at, upgrade=True), SECRET)
            await waiting.flush()
            mailbox = await database.read(lambda connection: mailboxes.get(connection, ANNA))
            assert mailbox.last_login == 300
            assert (await database.read(stored(database))).startswith("{ARGON2ID}")
            assert database.generation == generation
            workers.close()

    asyncio.run(run())


def test_a_password_that_was_changed_meanwhile_stays(database: Database, traces: Traces) -> None:
    async def run() -> None:
        async with database, closing(traces):
            row = await database.write(Actor("x"), people)
            workers = PasswordWorkers(PasswordSettings(memory=8192, passes=1))
            waiting = Uses(traces, lambda: workers)
            waiting.add(login(row, 100, upgrade=True), SECRET)
            new = "{SSHA512}bmV3IGhhc2g="
            await database.write(
                Actor("x"), lambda write: mailboxes.change(write, ANNA, None, password=new)
            )
            await waiting.flush()
            assert await database.read(stored(database)) == new
            workers.close()

    asyncio.run(run())


def test_uses_wait_for_the_database_and_their_number_is_bounded(
    database: Database, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "MAX_WAITING", 3)

    async def run() -> None:
        async with database, closing(traces):
            row = await database.write(Actor("x"), people)
            waiting = Uses(traces, lambda: pytest.fail("nothing is hashed"))

            async def away(work: object) -> None:
                raise DatastoreUnavailable("away")

            with monkeypatch.context() as patched:
                patched.setattr(traces, "note", away)
                for number in range(5):
                    one = Login(
                        LoginOutcome.OK,
                        Reason.OK,
                        f"u{number}@example.org",
                        effects=(LoggedIn(1, 1),),
                    )
                    waiting.add(one, SECRET)
                waiting.add(login(row, 200), SECRET)
                with pytest.raises(DatastoreUnavailable):
                    await waiting.flush()
            assert list(waiting._logins) == ["u3@example.org", "u4@example.org", ANNA]
            await waiting.flush()
            mailbox = await database.read(lambda connection: mailboxes.get(connection, ANNA))
            assert mailbox.last_login == 200

    asyncio.run(run())


def test_a_write_that_is_given_up_is_not_forgotten(
    database: Database, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the service cancels `run`, and then writes what is left."""

    async def run() -> None:
        async with database, closing(traces):
            row = await database.write(Actor("x"), people)
            waiting = Uses(traces, lambda: pytest.fail("nothing is hashed"))
            begun = asyncio.Event()

            async def slow(work: object) -> None:
                begun.set()
                await asyncio.Event().wait()

            waiting.add(login(row, 200), SECRET)
            with monkeypatch.context() as patched:
                patched.setattr(traces, "note", slow)
                task = asyncio.create_task(waiting.flush())
                await begun.wait()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await waiting.flush()
            mailbox = await database.read(lambda connection: mailboxes.get(connection, ANNA))
            assert mailbox.last_login == 200

    asyncio.run(run())
