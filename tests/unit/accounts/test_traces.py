"""Traces of logins and changes, which are the same in plain SQL and by way of the datastore."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from accounts.attempt_settings import AttemptSettings
from accounts.attempts import AttemptKind, Attempts
from accounts.directory import app_passwords, domains, mailboxes
from accounts.renewals import Renewals
from accounts.snapshots.history import note_restore
from accounts.store import migrate
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable, Invalid
from accounts.store.file import OpenedFile
from accounts.store.revisions import REVISIONS
from accounts.store.settings import DatabaseSettings
from accounts.store.transaction import Actor, Write
from accounts.traces.sqlite import SqliteTraces
from accounts.traces.stored import StoredTraces
from accounts.traces.trace import AT_ONCE, LoginTraces, Mark, Traces
from gatepost.errors import StartError

ANNA, BOB = "anna@example.org", "bob@example.org"
OLD, NEW = "{SSHA512}b2xkIGhhc2g=", "{SSHA512}bmV3IGhhc2g="
ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.db"
    migrate.upgrade(DatabaseSettings(url=f"sqlite:///{path}"))
    return path


def people(write: Write) -> None:
    domains.add(write, "example.org")
    for address in (ANNA, BOB):
        mailboxes.add(write, address, password=OLD)


def with_both(
    file: Path, test: Callable[[Database, Traces], Coroutine[None, None, object]]
) -> list[object]:
    """Return what a test says with the traces of each kind, each with data of its own."""

    async def run(path: Path, *, is_plain: bool) -> object:
        async with Database.open(DatabaseSettings(url=f"sqlite:///{path}")) as database:
            await database.write(Actor("test"), people)
            if not is_plain:
                return await test(database, StoredTraces(database))
            traces = SqliteTraces.open(OpenedFile(path), 10)
            try:
                return await test(database, traces)
            finally:
                await traces.close()

    other = file.with_name("other.db")
    shutil.copy(file, other)
    return [asyncio.run(run(file, is_plain=True)), asyncio.run(run(other, is_plain=False))]


def test_a_refusal_is_no_change(file: Path) -> None:
    """In PostgreSQL it may have a higher number than a change that is committed after it."""

    async def test(database: Database, traces: Traces) -> object:
        before = await traces.last_change()
        with pytest.raises(Invalid):
            await database.write(
                Actor("test"), lambda w: mailboxes.change(w, ANNA, None, password="clear")
            )
        refused = await traces.last_change() == before, await accounts_since(traces, before)
        await database.write(Actor("test"), lambda w: mailboxes.change(w, ANNA, None, password=NEW))
        return refused, await accounts_since(traces, before)

    assert with_both(file, test) == [((True, []), [ANNA])] * 2


def test_both_tell_the_same_changes(file: Path) -> None:
    async def test(database: Database, traces: Traces) -> object:
        before = await traces.last_change()
        generation = await traces.wait_for_change(-1, 5)
        waiting = asyncio.create_task(traces.wait_for_change(generation, 30))
        await database.write(
            Actor("test"), lambda write: mailboxes.change(write, BOB, None, quota=1)
        )
        assert await waiting == generation + 1
        await database.write(
            Actor("test"), lambda write: domains.change(write, "example.org", None, description="x")
        )
        found = await accounts_since(traces, before)
        return found, (await traces.last_change()).id - before.id, generation

    plain, stored = with_both(file, test)
    assert plain == stored
    assert isinstance(plain, tuple)
    assert plain[0] == [BOB]


async def accounts_since(traces: Traces, mark: Mark) -> list[str]:
    found = await traces.changes(mark)
    assert found is not None
    assert not found.more
    return list(found.accounts)


def test_changes_are_read_in_parts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals forgets the wrong passwords of all accounts that changed, and of no other."""

    async def test(database: Database, traces: Traces) -> object:
        def many(write: Write) -> None:
            for number in range(AT_ONCE + 5):
                write.audit("mailbox.change", f"box{number}@example.org")
            write.audit("domain.change", "example.org")

        attempts = Attempts(AttemptSettings(hold=0), b"k" * 32)
        renewals = Renewals(traces, lambda: attempts)
        await renewals.look()
        named = [f"box{number}@example.org" for number in range(AT_ONCE + 5)]
        for name in (*named, ANNA):
            for guess in range(5):
                attempts.end(attempts.decide(name, None, b"%d" % guess, 0), False, 0)
        await database.write(Actor("test"), many)
        await renewals.look()
        assert attempts.size == 1
        assert attempts.decide(ANNA, None, b"other", 0).kind is AttemptKind.LATER
        # the last look has read everything
        found = await traces.changes(await traces.last_change())
        assert found is not None
        return found.accounts

    assert with_both(file, test) == [(), ()]


def test_a_restored_backup_renews_all_accounts(file: Path) -> None:
    """With a log that is shorter, as long, or longer than before; by its own entries or not."""

    async def test(database: Database, traces: Traces) -> object:
        attempts = Attempts(AttemptSettings(hold=0), b"k" * 32)
        renewals = Renewals(traces, lambda: attempts)

        def allow_everything(write: Write) -> None:
            named = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'"
            for (name,) in write.connection.exec_driver_sql(named).fetchall():
                write.connection.exec_driver_sql(f"DROP TRIGGER {name}")

        await database.write(Actor("test"), allow_everything)

        async def is_noticed(*work: Callable[[Write], object]) -> bool:
            await renewals.look()
            for guess in range(6):
                attempts.end(attempts.decide(ANNA, None, b"%d" % guess, 0), False, 0)
            before = attempts.size
            for one in work:
                await database.write(Actor("test"), one)
            await renewals.look()
            return before == 1 and attempts.size == 0

        def shorten(write: Write) -> None:
            write.connection.exec_driver_sql(
                "DELETE FROM audit WHERE id > (SELECT max(id) FROM audit) - 2"
            )

        def lengthen(write: Write) -> None:
            for number in range(20):
                write.audit("domain.change", f"d{number}.example")

        def other(write: Write) -> None:
            write.connection.exec_driver_sql("UPDATE audit SET actor = 'other'")

        return [
            await is_noticed(lengthen),
            await is_noticed(note_restore),
            await is_noticed(shorten, note_restore),
            await is_noticed(shorten, note_restore, lengthen),
            await is_noticed(other),
            await is_noticed(shorten),
        ]

    assert with_both(file, test) == [[False, True, True, True, True, True]] * 2


def test_both_write_the_same_uses(file: Path) -> None:
    async def test(database: Database, traces: Traces) -> object:
        app_password = await database.write(
            Actor("test"),
            lambda write: (
                app_passwords.add(write, ANNA, "phone", password=OLD, protocols=["imap"]).id
            ),
        )
        generation = database.generation
        upgraded = await traces.note(
            LoginTraces(
                {ANNA: 100, "gone@example.org": 5},
                {app_password: (200, "2001:db8::1\n" + "x" * 999), 999: (1, None)},
                {ANNA: (OLD, NEW), BOB: ("{SSHA512}Y2hhbmdlZA==", NEW)},
            )
        )
        found = await database.read(
            lambda connection: connection.exec_driver_sql(
                "SELECT m.last_login, m.password, p.last_used, p.last_client"
                " FROM mailbox m LEFT JOIN app_password p ON p.mailbox_id = m.id ORDER BY m.address"
            ).fetchall()
        )
        last = await traces.wait_for_change(generation, 0)
        return upgraded, [tuple(row) for row in found], last == generation

    plain, stored = with_both(file, test)
    assert plain == stored
    assert isinstance(plain, tuple)
    upgraded, rows, generation_stays = plain
    assert upgraded == [ANNA]
    assert [row[:3] for row in rows] == [(100, NEW, 200), (None, OLD, None)]
    assert len(rows[0][3]) <= 410
    assert generation_stays


def test_a_file_that_is_locked_or_replaced_is_away(file: Path) -> None:
    async def run() -> None:
        traces = SqliteTraces.open(OpenedFile(file), 0.05)
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            DatastoreUnavailable, match="another process holds the write lock for too long"
        ):
            await traces.note(LoginTraces({ANNA: 1}))
        other.execute("ROLLBACK")
        other.close()
        assert await traces.note(LoginTraces({ANNA: 1})) == []
        shutil.copy(file, file.with_suffix(".new"))
        os.replace(file.with_suffix(".new"), file)
        with pytest.raises(DatastoreUnavailable, match="it was replaced by another file"):
            await traces.last_change()
        file.unlink()
        with pytest.raises(DatastoreUnavailable, match="No such file"):
            await traces.wait_for_change(0, 1)
        await traces.close()

    asyncio.run(run())


def test_a_file_of_another_revision_is_refused(file: Path, tmp_path: Path) -> None:
    for found, text in (
        (REVISIONS[0], "earlier version of Gatepost"),
        ("0999", "later version of Gatepost"),
    ):
        with sqlite3.connect(file) as db:
            db.execute("UPDATE alembic_version SET version_num = ?", (found,))
        db.close()
        with pytest.raises(StartError, match=text):
            SqliteTraces.open(OpenedFile(file), 10)
    empty = tmp_path / "empty.db"
    empty.touch(0o600)
    with pytest.raises(StartError, match="has no data of Gatepost yet"):
        SqliteTraces.open(OpenedFile(empty), 10)
    empty.write_bytes(b"no database at all, and longer than a header" * 100)
    with pytest.raises(StartError, match=r"cannot open the datastore: .* not a database"):
        SqliteTraces.open(OpenedFile(empty), 10)


@pytest.mark.parametrize("is_file", [True, False])
def test_a_service_without_the_api_does_without_the_large_libraries(
    file: Path, *, is_file: bool
) -> None:
    url = f"sqlite:///{file}" if is_file else f"postgresql://x@/gate?host={file.parent}&ssl=disable"
    driver = '"asyncpg", ' if is_file else ""
    program = f"""
import asyncio, sys
from accounts import service
from accounts.settings import AccountsFile
settings = AccountsFile.model_validate({{"accounts": {{"database": {{"url": "{url}"}}}}}})
async def run():
    database, traces = await service._open(settings.accounts)
    assert database is None
    service.make_source(settings.accounts.database).ask(())
asyncio.run(run())
large = "sqlalchemy", "alembic", {driver}"starlette", "uvicorn", "cryptography"
assert not [name for name in large if name in sys.modules], sorted(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
