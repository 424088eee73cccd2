"""The datastore in SQLite: the tests of every database, and those of the file."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from accounts.directory import domains
from accounts.store import migrate
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable
from accounts.store.revisions import REVISIONS
from accounts.store.settings import DatabaseSettings
from accounts.store.sqlite import READERS
from gatepost.errors import StartError
from tests.unit.accounts import files
from tests.unit.accounts.database_suite import DatabaseSuite, enter
from tests.unit.accounts.desk import ME, Desk


class TestSqlite(DatabaseSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.paths = (tmp_path / f"{number}.db" for number in count())

    def make(self, *, migrated: bool = True) -> DatabaseSettings:
        path = next(self.paths)
        if migrated:
            return files.make(path)
        path.touch(0o600)
        return files.settings(path)

    def describe(self, connection: Connection) -> dict[str, Any]:
        rows = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type <> 'trigger' AND sql IS NOT NULL")
        )
        # the order of constraints within a table is not that of the code, and a column that was
        # added later is in the line of the one before
        column = r"\n|, (?=[a-z_]+ (?:TEXT|INTEGER)\b)"
        return {
            name: sorted(line.strip(" ,\t") for line in re.split(column, sql))
            for name, sql in rows
            if name != "alembic_version"
        }


def test_the_revisions_are_those_of_the_files() -> None:
    folder = Path(migrate.__file__).parent / "migrations" / "versions"
    found = sorted(path.name for path in folder.glob("r*.py"))
    assert [name[1:5] for name in found] == list(REVISIONS)


def test_upgrade_makes_a_file_for_this_user_alone(tmp_path: Path) -> None:
    settings = files.settings(tmp_path / "accounts.db")
    before = os.umask(0)
    try:
        migrate.upgrade(settings)
    finally:
        os.umask(before)
    desk = Desk(settings)
    desk.domain()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    desk.close()
    assert set(modes) == {"accounts.db", "accounts.db-wal", "accounts.db-shm"}
    assert set(modes.values()) == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_made_by_root_it_belongs_to_whom_its_folder_belongs_to(tmp_path: Path) -> None:
    folder = tmp_path / "accounts"
    folder.mkdir()
    os.chown(folder, 1234, 1235)
    settings = files.settings(folder / "accounts.db")
    migrate.upgrade(settings)
    status = (folder / "accounts.db").stat()
    assert (status.st_uid, status.st_gid) == (1234, 1235)


def test_no_file_is_made_to_serve_from(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"there is no datastore .*`gatepost accounts migrate`"):
        Database.open(files.settings(tmp_path / "accounts.db"))
    with pytest.raises(StartError, match="there is no datastore"):
        migrate.current(files.settings(tmp_path / "accounts.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    settings = files.settings(tmp_path / "none" / "accounts.db")
    with pytest.raises(StartError, match="there is no datastore"):
        Database.open(settings)
    with pytest.raises(
        StartError, match=r"cannot create the datastore .*No such file or directory"
    ):
        migrate.upgrade(settings)


def test_a_file_that_everybody_may_read_is_not_used(tmp_path: Path) -> None:
    settings = files.make(tmp_path / "accounts.db")
    for mode in (0o604, 0o602, 0o666):
        (tmp_path / "accounts.db").chmod(mode)
        for use in (Database.open, migrate.upgrade):
            with pytest.raises(StartError, match=f"open to everybody .*{mode:04o}.*chmod o-rwx"):
                use(settings)
    (tmp_path / "accounts.db").chmod(0o640)
    Desk(settings).close()


def test_a_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = files.make(tmp_path / "accounts.db")
    monkeypatch.setattr("accounts.store.file.is_writable", lambda path: False)
    with pytest.raises(StartError, match=r"belongs to uid \d+, and uid \d+ may not write to it"):
        Database.open(settings)


def test_a_fifo_and_a_folder_are_no_datastore(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "folder"):
        for use in (Database.open, migrate.upgrade):
            with pytest.raises(StartError, match="is not a regular file"):
                use(files.settings(tmp_path / name))


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_file_that_is_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "accounts.db"
    path.write_bytes(content)
    path.chmod(0o600)
    for use in (Database.open, migrate.upgrade):
        with pytest.raises(StartError, match="restore a backup"):
            use(files.settings(path))
    assert path.read_bytes() == content


def test_another_program_that_writes_is_waited_for(tmp_path: Path) -> None:
    settings = files.make(tmp_path / "accounts.db")
    desk = Desk(settings)

    async def scene() -> str:
        with sqlite3.connect(tmp_path / "accounts.db") as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(desk.database.write(ME, enter))
            await asyncio.sleep(0.1)
            assert not writing.done()
            assert await desk.database.read(domains.find) == []  # a reader does not wait
            other.rollback()
            return await writing

    assert desk.run(scene()) == "done"
    desk.close()


def test_one_that_writes_for_too_long_makes_it_fail_for_now(tmp_path: Path) -> None:
    settings = files.make(tmp_path / "accounts.db").model_copy(update={"timeout": 0.2})
    desk = Desk(settings)
    with sqlite3.connect(tmp_path / "accounts.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            DatastoreUnavailable, match="another process holds the write lock for too long"
        ):
            desk.write(enter)
        other.rollback()
    assert desk.write(enter) == "done"
    desk.close()


def test_whoever_gives_up_waiting_does_not_undo_a_write(tmp_path: Path) -> None:
    desk = Desk(files.make(tmp_path / "accounts.db"))

    async def scene() -> int:
        with sqlite3.connect(tmp_path / "accounts.db") as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(desk.database.write(ME, enter))
            await asyncio.sleep(0.1)
            writing.cancel()
            other.rollback()
        with pytest.raises(asyncio.CancelledError):
            await writing
        return await desk.database.wait_for_change(0, 60)

    assert desk.run(scene()) == 1
    desk.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "not a URL"),
        ("mysql://localhost/x", "not a supported database"),
        ("sqlite://", "absolute"),
        ("sqlite:///relative.db", "absolute"),
        ("sqlite:////x.db?mode=ro", "absolute"),
        ("sqlite+aiosqlite:////x.db", "not a supported database"),
        ("postgresql+psycopg2://host/x", "not a supported database"),
        ("postgresql://user:secret@host/x", "password_file"),
        ("postgresql://user@host", "names no database"),
        ("postgresql://user@host/x?passfile=/etc/shadow", "not a known parameter"),
        ("sqlite:////x\0.db", "NUL"),
    ],
)
def test_urls_that_are_refused(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        DatabaseSettings(url=url)
    assert "secret" not in str(caught.value.errors()[0]["msg"])  # type: ignore[attr-defined]


def test_a_file_that_is_gone_or_another_is_not_used(tmp_path: Path) -> None:
    path, aside = tmp_path / "accounts.db", tmp_path / "aside.db"
    desk = Desk(files.make(path))
    desk.domain()
    path.rename(aside)
    with pytest.raises(DatastoreUnavailable, match="No such file"):
        desk.read(domains.find)
    files.make(path)
    with pytest.raises(DatastoreUnavailable, match="it was replaced by another file"):
        desk.read(domains.find)
    with pytest.raises(DatastoreUnavailable, match="it was replaced by another file"):
        desk.write(enter)
    aside.rename(path)
    assert [one.name for one in desk.read(domains.find)] == ["example.org"]
    desk.close()


def test_threads_keep_their_connections(tmp_path: Path) -> None:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    together = threading.Barrier(READERS + 1, timeout=30)

    def work(connection: Connection) -> int:
        together.wait()  # all readers have a connection
        together.wait()  # and so has the writer
        return int(connection.execute(text("SELECT generation FROM state")).scalar_one())

    async def all_at_once() -> list[int]:
        reading = [asyncio.create_task(desk.database.read(work)) for _ in range(READERS)]
        await asyncio.to_thread(together.wait)
        await desk.database.write(ME, enter)
        await asyncio.to_thread(together.wait)
        return await asyncio.gather(*reading)

    assert len(desk.run(all_at_once())) == READERS
    desk.close()
