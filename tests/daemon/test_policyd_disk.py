"""The policy server's SQLite store when its disk fails: mail goes on, and the log says why."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.policyd_process import PolicyDaemon
from tests.testbed.disk import fill, make_room, read_only_disk, remount, seen_by, small_disk
from tests.testbed.waiting import wait_until

pytestmark = pytest.mark.usefixtures("mounts")

SMALL = 2 << 20
"""Octets: some thousand triplets."""
LARGE = 64 << 20

GREYLISTING = {"greylist": {"delay": "1s", "auto_allow_clients": 0}}


class Disk:
    """A policy server whose store is on a disk of its own, at `folder` as we see it."""

    def __init__(self, directory: Path, size: int, checks: Mapping[str, Any] = GREYLISTING) -> None:
        self.mounted = directory / "disk"
        self.mounted.mkdir()
        settings = {
            **checks,
            # a busy machine is not what fails here
            "store": {"path": str(self.mounted / "store" / "store.sqlite"), "timeout": "20s"},
        }
        self.policyd = PolicyDaemon(
            directory, settings, "127.0.0.1:9", within=small_disk(self.mounted, size)
        )
        self.daemon = self.policyd.daemon

    @property
    def folder(self) -> Path:
        return seen_by(self.daemon.process.pid, self.mounted)

    def ask(self, *names: str) -> set[str]:
        """The first words of the answers to requests with these senders."""
        with self.policyd.connect() as client:
            return {client.ask(sender=f"{name}@example.net").split()[0] for name in names}

    @property
    def up(self) -> bool:
        return self.daemon.metric("gatepost_policyd_store_up", store="sqlite") == 1

    def use(self, word: str) -> None:
        """Ask for what was never seen, more and more, until the store is down."""
        asked = itertools.count()

        def is_down() -> bool:
            # whatever becomes of the store, greylisting answers
            assert self.ask(*names(f"{word}{'x' * next(asked)}", 50)) == {"DEFER_IF_PERMIT"}
            return not self.up

        wait_until(is_down, "the store to be down")

    def told(self, event: str) -> list[str]:
        return [entry.get("error", "") for entry in self.daemon.log_entries(event=event)]


def names(word: str, count: int) -> list[str]:
    """That many senders; letters alone, since digits may be a number of the message."""
    return [word + "".join("abcdefghij"[int(digit)] for digit in str(n)) for n in range(count)]


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path, getattr(request, "param", LARGE))
    with disk.policyd:
        yield disk


def pass_some(disk: Disk) -> list[str]:
    """Senders that have passed."""
    known = names("known", 20)
    assert disk.ask(*known) == {"DEFER_IF_PERMIT"}
    wait_until(lambda: disk.ask(known[-1]) != {"DEFER_IF_PERMIT"}, "the delay to be over")
    assert disk.ask(*known) <= {"DUNNO", "PREPEND"}
    return known


@pytest.mark.parametrize("disk", [SMALL], indirect=True)
def test_a_full_disk_stops_nothing_and_nothing_is_forgotten(disk: Disk) -> None:
    known = pass_some(disk)
    fill(disk.folder)
    disk.use("new")
    (error,) = disk.told("store down")
    assert "database or disk is full" in error
    assert disk.daemon.metric("gatepost_policyd_store_fallbacks_total") > 0
    fresh = names("fresh", 20)
    assert disk.ask(*fresh) == {"DEFER_IF_PERMIT"}
    wait_until(lambda: disk.ask(fresh[-1]) != {"DEFER_IF_PERMIT"}, "the delay, in memory")
    assert disk.ask(*fresh) == {"DUNNO"}
    assert disk.ask(*known) == {"DUNNO"}
    make_room(disk.folder)
    disk.daemon.wait_for_log(event="store back")
    disk.daemon.wait_for_log(event="entries from memory written to the store")
    assert disk.told("store down") == [error]
    # what is kept outlives the process: a look into the file by the command that shows it
    assert {*known, *fresh} <= senders(disk)


def test_limits_follow_their_failure_mode_on_a_full_disk(tmp_path: Path) -> None:
    rule = {"name": "some", "per": "sender", "count": "recipients", "limit": 1000}
    limits = {"rules": [rule], "failure_mode": "tempfail"}
    disk = Disk(tmp_path, SMALL, {"greylist": {"enabled": False}, "limits": limits})
    with disk.policyd:
        assert disk.ask("user") == {"DUNNO"}
        fill(disk.folder)
        rounds = itertools.count()

        def is_down() -> bool:
            assert disk.ask(*names("x" * next(rounds), 50)) <= {"DUNNO", "451"}
            return not disk.up

        wait_until(is_down, "the store to be down")
        assert disk.ask("user") == {"451"}
        make_room(disk.folder)
        wait_until(lambda: disk.ask("user") == {"DUNNO"}, "the limits to be kept again")


def senders(disk: Disk) -> set[str]:
    """The local parts of the senders in the file, copied from where the daemon sees it."""
    copy = disk.policyd.directory / "copy"
    shutil.copytree(disk.folder / "store", copy, dirs_exist_ok=True)
    with sqlite3.connect(copy / "store.sqlite") as db:
        keys = [key for (key,) in db.execute("SELECT key FROM entry")]
    return {part.partition("@")[0] for key in keys for part in key.split("\n") if "@" in part}


READ_ONLY = "attempt to write a readonly database: its file system is read-only"


def test_a_disk_that_turns_read_only_is_still_read(disk: Disk) -> None:
    known = pass_some(disk)
    pid, folder = disk.daemon.process.pid, disk.mounted / "store"
    remount(pid, folder, writable=False)
    disk.use("new")
    (error,) = disk.told("store down")
    assert READ_ONLY in error
    fresh = names("fresh", 20)
    assert disk.ask(*fresh) == {"DEFER_IF_PERMIT"}
    wait_until(lambda: disk.ask(fresh[-1]) != {"DEFER_IF_PERMIT"}, "the delay, in memory")
    assert disk.ask(*fresh) == {"DUNNO"}
    assert disk.ask(*known) == {"DUNNO"}
    remount(pid, folder, writable=True)
    disk.daemon.wait_for_log(event="store back")
    disk.daemon.wait_for_log(event="entries from memory written to the store")
    assert disk.told("store created again: its file was missing or empty") == []
    wait_until(lambda: {*known, *fresh} <= senders(disk), "all of it to be in the file")


@pytest.mark.parametrize("ended", ["killed", "in order"])
def test_on_a_read_only_disk_it_starts_and_knows_whom_it_knew(tmp_path: Path, ended: str) -> None:
    """A file system that turns read-only may take the server with it (SIGBUS): it comes back."""
    folder = tmp_path / "store"
    settings = {**GREYLISTING, "store": {"path": str(folder / "store.sqlite")}}
    with PolicyDaemon(tmp_path, settings, "127.0.0.1:9") as policyd, policyd.connect() as client:
        assert client.ask(sender="known@example.net").startswith("DEFER_IF_PERMIT")
        wait_until(
            lambda: "DUNNO" in client.ask(sender="known@example.net"), "the delay to be over"
        )
        if ended == "killed":
            policyd.daemon.kill()
    again = PolicyDaemon(tmp_path, settings, "127.0.0.1:9", within=read_only_disk(folder))
    with again, again.connect() as client:
        assert client.ask(sender="known@example.net") == "DUNNO"
        new = [f"new{number}@example.net" for number in range(5)]
        for sender in new:
            # each for the first time: the delay of one may be over before the next is asked for
            assert client.ask(sender=sender).startswith("DEFER_IF_PERMIT")
        assert READ_ONLY in again.daemon.wait_for_log(event="store down")["error"]
        assert client.ask(sender="known@example.net") == "DUNNO"
        remount(again.daemon.process.pid, folder, writable=True)
        again.daemon.wait_for_log(event="entries from memory written to the store")
    with sqlite3.connect(folder / "store.sqlite") as db:
        keys = "".join(key for (key,) in db.execute("SELECT key FROM entry"))
    assert [sender for sender in new if sender not in keys] == []


def test_a_folder_that_was_removed_is_told_of_and_used_again(disk: Disk) -> None:
    pass_some(disk)
    folder = disk.folder / "store"
    shutil.rmtree(folder)
    disk.use("new")
    (error,) = disk.told("store down")
    assert "No such file or directory" in error
    assert disk.ask("later") == {"DEFER_IF_PERMIT"}
    folder.mkdir()
    disk.daemon.wait_for_log(event="store back")
    assert len(disk.told("store created again: its file was missing or empty")) == 1
    wait_until(lambda: disk.up and "later" in senders(disk), "what was learned meanwhile")


def test_a_file_that_was_damaged_is_told_of_until_it_is_moved_away(disk: Disk) -> None:
    pass_some(disk)
    folder = disk.folder / "store"
    for left in folder.glob("store.sqlite-*"):
        left.unlink()
    (folder / "damaged").write_bytes(b"damaged!" * 8192)
    (folder / "damaged").rename(folder / "store.sqlite")
    disk.use("new")
    (error,) = disk.told("store down")
    assert "move it away" in error
    (folder / "store.sqlite").rename(folder / "damaged")
    disk.daemon.wait_for_log(event="store back")
    assert len(disk.told("store created again: its file was missing or empty")) == 1


def test_a_damaged_file_at_the_start_says_what_to_do(tmp_path: Path) -> None:
    policyd = PolicyDaemon(tmp_path, None, "127.0.0.1:9")
    with policyd:
        pass
    store = tmp_path / "store.sqlite"
    store.write_bytes(b"SQLite format 3\0" + b"damaged!" * 8192)
    with pytest.raises(Exception, match="ended with 1"):
        policyd.daemon.start()
    log = policyd.daemon.log.read_text()
    assert "cannot open the store" in log
    assert "move it away" in log
    assert "Traceback" not in log
