"""The journal in a file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.journal import journal as journal_module
from accounts.journal.settings import JournalSettings
from accounts.journal.upkeep import CALM, JournalUpkeep
from accounts.store.errors import DatastoreUnavailable
from accounts.store.settings import DatabaseSettings
from tests.unit.accounts.journal.journal_suite import DAY, NOW, JournalDesk, JournalTests, mail
from tests.unit.clock import Clock

SEARCH_LIMIT = 0.1
"""Seconds of CPU that a search may take."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[JournalDesk]:
    desk = JournalDesk(DatabaseSettings(url=f"sqlite:///{tmp_path}/accounts.db"))
    try:
        yield desk
    finally:
        desk.close()


class TestInAFile(JournalTests):
    """The tests, with SQLite."""


def test_the_file_is_beside_the_datastore_and_private(desk: JournalDesk, tmp_path: Path) -> None:
    assert desk.find() == []
    assert list(tmp_path.iterdir()) == []  # a search makes nothing
    desk.add(mail(1, "ann@example.org"))
    mode = (tmp_path / "journal.sqlite3").stat().st_mode
    assert stat.S_IMODE(mode) == 0o640
    assert JournalSettings(file=Path("/srv/j.db")).path(tmp_path / "x") == Path("/srv/j.db")
    assert JournalSettings().path(None) is None


def test_a_lost_file_is_made_anew(desk: JournalDesk, tmp_path: Path) -> None:
    desk.add(mail(1, "ann@example.org"))
    (tmp_path / "journal.sqlite3").unlink()
    desk.add(mail(2, "ann@example.org"))
    assert [one.queue_id for one in desk.find()] == ["4Q2"]


def test_a_damaged_file_is_put_aside(desk: JournalDesk, tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite3"
    file.write_bytes(b"no database " * 1000)
    file.chmod(0o640)
    desk.add(mail(1, "ann@example.org"))
    assert len(desk.find()) == 1
    assert file.with_name("journal.sqlite3.damaged").exists()


def test_a_new_file_of_another_process_is_not_put_aside(
    desk: JournalDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the damaged file open; the other one is first to make a new one."""
    other = JournalDesk(DatabaseSettings(url=f"sqlite:///{tmp_path}/accounts.db"))
    file = tmp_path / "journal.sqlite3"
    file.write_bytes(b"no database " * 1000)
    file.chmod(0o640)

    class DamagedBackend:
        async def write(self, work: Any) -> None:
            del work
            await asyncio.to_thread(other.add, mail(1, "ann@example.org"))
            error = DatastoreUnavailable("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT  # type: ignore[attr-defined]
            raise error

        async def close(self) -> None: ...

    def opened(*_: Any) -> Any:
        monkeypatch.undo()
        return DamagedBackend()

    monkeypatch.setattr(journal_module, "SqliteBackend", opened)
    desk.add(mail(2, "bob@example.org"))
    other.close()
    assert desk.recipients() == ["ann@example.org", "bob@example.org"]


@pytest.mark.parametrize("how", ["erased", "old"])
def test_a_damaged_file_does_not_stay_for_ever(desk: JournalDesk, tmp_path: Path, how: str) -> None:
    aside = tmp_path / "journal.sqlite3.damaged"
    aside.write_bytes(b"ann@example.org")
    os.utime(aside, (NOW, NOW))
    if how == "erased":
        desk.run(desk.journal.erase("ann@example.org"))
    else:
        desk.run(desk.journal.prune(NOW))
        assert aside.exists()
        desk.run(desk.journal.prune(NOW + 1))
    assert not aside.exists()


def test_it_never_fills_the_disk(
    desk: JournalDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(journal_module, "MIN_FREE", 1 << 62)
    with pytest.raises(DatastoreUnavailable, match="MiB are free"):
        desk.add(mail(1, "ann@example.org"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_others_can_read_is_refused(desk: JournalDesk, tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite3"
    file.touch()
    file.chmod(0o644)
    with pytest.raises(DatastoreUnavailable, match="open to everybody"):
        desk.add(mail(1, "ann@example.org"))


def test_a_jump_of_the_clock_removes_nothing(desk: JournalDesk) -> None:
    monotonic = Clock(0.0)
    upkeep = JournalUpkeep(desk.journal, monotonic)
    desk.add(mail(1, "ann@example.org"))
    desk.clock.now += 400 * DAY
    assert desk.run(upkeep.step()) == 0
    desk.clock.now -= 400 * DAY
    monotonic.now += 10
    desk.clock.now += 10
    assert desk.run(upkeep.step()) == 0
    # without a jump, the days pass on both clocks
    for clock in (desk.clock, monotonic):
        clock.now += 15 * DAY + CALM
    assert desk.run(upkeep.step()) == 1
    assert desk.find() == []


def test_no_days_remove_everything(desk: JournalDesk) -> None:
    desk.add(mail(1, "ann@example.org", at=NOW - 1))
    desk.settings = JournalSettings(days=0)
    assert desk.run(JournalUpkeep(desk.journal, Clock(0.0)).step()) == 1


@pytest.mark.parametrize("values", [{"days": 91}, {"days": -1}, {"max_records": 1}])
def test_settings_are_bounded(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="should be"):
        JournalSettings(**values)


def test_a_hundred_thousand_records_are_searched_quickly(desk: JournalDesk) -> None:
    for start in range(0, 100_000, 5000):
        desk.add(
            *(
                mail(
                    n,
                    f"user{n % 5000}@example.org",
                    at=NOW - 3000 + n / 100,
                    sender=f"s{n % 900}@example.com",
                    reason="" if n % 3 else "greylist-new",
                )
                for n in range(start, start + 5000)
            )
        )
    for words, count in (
        (["user77@example.org"], 20),
        (["s77@example.com"], 20),
        (["4Q77"], 1),
        (["99999@example.com"], 1),
        (["greylist-new"], 20),
        (["user77@example.org", "greylist-new"], 6),
        (["nobody@example.org"], 0),
    ):
        took = []
        for _ in range(3):
            began = time.process_time()
            found = desk.find(*words, limit=20)
            took.append(time.process_time() - began)
            assert len(found) == count, words
        assert min(took) < SEARCH_LIMIT, words
