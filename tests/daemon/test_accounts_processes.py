"""Processes that write to one datastore, and that are killed; disks and servers that fail."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from accounts.directory import audit, domains
from accounts.store import schema
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable
from accounts.store.settings import DatabaseSettings
from gatepost.config.types import SecretFile
from gatepost.errors import StartError
from tests.daemon import accounts_postgres
from tests.testbed.disk import fill, make_room, read_only_disk, seen_by, small_disk
from tests.testbed.postgres import PostgresServer
from tests.testbed.process import Process
from tests.testbed.waiting import wait_until
from tests.unit.accounts import files
from tests.unit.accounts.database_suite import enter
from tests.unit.accounts.desk import ME, Desk


class Writer:
    """A process that writes, as `tests.daemon.accounts_writer` says."""

    def __init__(
        self, url: str, name: str, log: Path, number: int = 10_000, within: list[str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self.process = Process(
            [
                *(within or []),
                *(sys.executable, "-m", "tests.daemon.accounts_writer", url, name, str(number)),
            ],
            log,
        )

    @property
    def kept(self) -> list[int]:
        """The numbers of the transactions that it was told are kept."""
        lines = self.log.read_text().split("\n")[:-1]
        return [int(line) for line in lines if line.isdigit()]

    def wait_for(self, number: int) -> None:
        self.process.wait_until(lambda: len(self.kept) >= number, f"{number} transactions")

    def wait_for_more(self, more: int = 5) -> None:
        self.wait_for(len(self.kept) + more)

    def told(self, text: str) -> bool:
        return text in self.log.read_text()


@contextlib.contextmanager
def writing(*writers: Writer) -> Iterator[None]:
    try:
        yield
    finally:
        for writer in writers:
            writer.process.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    if request.param == "sqlite":
        return files.make(tmp_path / "accounts.db")
    return accounts_postgres.make(request.getfixturevalue("postgres"))


def check_whole(desk: Desk, *writers: Writer) -> None:
    """Check that of each transaction there is all or nothing, and all that were acknowledged."""

    def look(connection: Connection) -> None:
        boxes = set(connection.scalars(select(schema.mailbox.c.address)))
        names = set(connection.scalars(select(schema.name.c.address)))
        targets = set(connection.scalars(select(schema.alias_target.c.target)))
        others = set(connection.scalars(select(schema.alias.c.address)))
        assert others == {f"alias-{box}" for box in boxes}
        assert names == boxes | others
        assert targets == boxes
        entries = connection.scalars(
            select(schema.audit.c.object).where(schema.audit.c.action == "mailbox.add")
        ).all()
        assert sorted(entries) == sorted(boxes)
        generation = connection.scalar(select(schema.state.c.generation))
        assert generation == len(boxes) + 1  # and the domain
        acknowledged = {
            f"{writer.name}{number}@example.org" for writer in writers for number in writer.kept
        }
        assert acknowledged <= boxes
        assert len(boxes) <= len(acknowledged) + len(writers)

    desk.read(look)


def test_two_processes_write_at_once(settings: DatabaseSettings, tmp_path: Path) -> None:
    desk = Desk(settings)
    desk.domain()
    writers = [Writer(settings.url, name, tmp_path / name, 40) for name in ("a", "b")]
    with writing(*writers):
        for writer in writers:
            assert writer.process.wait(120) == 0
            assert writer.kept == list(range(40))
            assert not writer.told("away")
    check_whole(desk, *writers)
    assert desk.count(schema.mailbox) == 80
    desk.close()


def test_killed_writers_leave_nothing_half_written(
    settings: DatabaseSettings, tmp_path: Path
) -> None:
    desk = Desk(settings)
    desk.domain()
    writers: list[Writer] = []
    for number in range(6):
        writer = Writer(settings.url, f"w{number}-", tmp_path / f"{number}")
        writers.append(writer)
        with writing(writer):
            writer.wait_for(3 + 2 * number)
            writer.process.signal(signal.SIGKILL)
            writer.process.wait()
        check_whole(desk, *writers)
    # nobody has to wait for one that is dead
    assert desk.write(lambda w: domains.add(w, "example.net")).version == 1
    desk.close()
    if settings.path is not None:
        with sqlite3.connect(settings.path) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []


# the disk of a file


@pytest.mark.usefixtures("mounts")
def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain()
    desk.close()
    writer = Writer(
        files.settings(folder / "accounts.db").url,
        "w",
        tmp_path / "log",
        within=[
            *small_disk(folder, 8 << 20),
            *("sh", "-c", 'cp -p "$0" "$1" && shift && exec "$@"'),
            *(str(tmp_path / "accounts.db"), str(folder / "accounts.db")),
        ],
    )
    with writing(writer):
        writer.wait_for(5)
        there = seen_by(writer.process.pid, folder)
        fill(there)
        writer.process.wait_until(lambda: writer.told("the disk is full"), "the disk to be full")
        make_room(there)
        writer.wait_for_more()
        writer.process.signal(signal.SIGSTOP)
        for name in ("accounts.db", "accounts.db-wal"):
            (tmp_path / f"copy-{name}").write_bytes((there / name).read_bytes())
            (tmp_path / f"copy-{name}").chmod(0o600)
    desk = Desk(files.settings(tmp_path / "copy-accounts.db"))
    check_whole(desk, writer)
    desk.close()


@pytest.mark.usefixtures("mounts")
def test_a_disk_that_is_read_only_is_told_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    settings = files.make(folder / "accounts.db")
    writer = Writer(settings.url, "w", tmp_path / "log", within=read_only_disk(folder))
    with writing(writer):
        assert writer.process.wait() == 1
    assert writer.told("may not write to it")


# the server of PostgreSQL


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that this test alone has."""
    with PostgresServer() as running:
        yield running


FAILURES: list[tuple[Callable[[PostgresServer], None], Callable[[PostgresServer], None]]] = [
    (PostgresServer.stop, PostgresServer.start),
    (PostgresServer.kill, PostgresServer.start),
    (PostgresServer.pause, PostgresServer.resume),
]


def test_a_server_that_goes_and_comes(server: PostgresServer, tmp_path: Path) -> None:
    settings = accounts_postgres.make(server).model_copy(update={"timeout": 2.0})
    desk = Desk(settings)
    desk.domain()
    writer = Writer(settings.url, "w", tmp_path / "log")

    async def away() -> None:
        """All that is asked meanwhile fails within the time, and nothing is "not found"."""
        started = time.monotonic()
        calls = (
            *(desk.database.read(lambda c: domains.get(c, "example.org")) for _ in range(20)),
            desk.database.write(ME, enter),
        )
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {DatastoreUnavailable}, results
        assert time.monotonic() - started < 30

    async def is_back() -> bool:
        with contextlib.suppress(DatastoreUnavailable):
            return (await desk.database.read(lambda c: domains.get(c, "example.org"))).id > 0
        return False

    with writing(writer):
        for fail, recover in FAILURES:
            writer.wait_for_more()
            before = desk.run(desk.database.wait_for_change(-1, 0))
            # the connection that hears of changes is there: a server that stops waits for one that
            # has not finished its first words
            before = desk.run(desk.database.wait_for_change(before, 60))
            fail(server)
            desk.run(away())
            recover(server)
            wait_until(lambda: desk.run(is_back()) or None, "the database to be back")
            # changes of others are heard of again
            assert desk.run(desk.database.wait_for_change(before, 60)) > before
            writer.wait_for_more()
        writer.process.signal(signal.SIGTERM)
        writer.process.wait()
    names = {entry.action for entry in desk.read(audit.find)}
    assert "test" not in names  # what was refused was not kept
    assert desk.count(schema.mailbox) == desk.count(schema.alias) >= len(writer.kept)
    desk.close()


def test_a_server_that_is_away_at_the_start(server: PostgresServer) -> None:
    settings = accounts_postgres.make(server).model_copy(update={"timeout": 2.0})
    server.stop()
    desk = Desk(settings)
    with pytest.raises(DatastoreUnavailable):
        desk.read(domains.find)
    server.start()
    assert desk.read(domains.find) == []
    assert desk.write(enter) == "done"
    assert desk.database.generation == 1
    desk.close()
    # data of another revision are found out then
    server.sql("UPDATE alembic_version SET version_num = '0999'", database="migrated")
    server.stop()
    desk = Desk(settings)
    server.start()
    for _ in range(2):
        with pytest.raises(DatastoreUnavailable, match="later version of Gatepost"):
            desk.read(domains.find)
    desk.close()
    with pytest.raises(StartError, match="later version of Gatepost"):
        Database.open(settings)


def test_a_password_that_is_wrong_is_no_answer(server: PostgresServer, tmp_path: Path) -> None:
    settings = accounts_postgres.make(server)
    server.sql("ALTER ROLE gatepost PASSWORD 'right'", database="postgres")
    hba = server.folder / "data" / "pg_hba.conf"
    hba.write_text("local all all scram-sha-256\n")
    server.stop()
    server.start()
    file = tmp_path / "password"
    file.write_text("wrong\n")
    file.chmod(0o600)
    secured = DatabaseSettings(url=settings.url, password_file=SecretFile(file))
    desk = Desk(secured)
    with pytest.raises(DatastoreUnavailable, match="password authentication failed"):
        desk.read(domains.find)
    # the file is read at each connection
    file.write_text("right\n")
    assert desk.read(domains.find) == []
    desk.close()
    file.chmod(0o604)
    desk = Desk(secured)
    with pytest.raises(DatastoreUnavailable, match="accessible to everybody"):
        desk.read(domains.find)
    desk.close()
