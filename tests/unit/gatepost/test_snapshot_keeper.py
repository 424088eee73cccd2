"""The fetching of a snapshot: which answers are taken, what is kept, and what is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gatepost.logs import get_logger
from gatepost.snapshots import disk, keeper
from gatepost.snapshots.client import Fetched, FetchError
from gatepost.snapshots.feed import AccountsFeed
from gatepost.snapshots.form import SnapshotData, SnapshotError, parse
from gatepost.snapshots.judge import PATIENCE, HeldSnapshot, SnapshotVerdict, confirm, judge
from gatepost.snapshots.keeper import SnapshotKeeper
from gatepost.snapshots.settings import AccountsSource
from gatepost.snapshots.share import SharedMemory
from tests.unit.gatepost.test_snapshot_form import snapshot


class FakeAccounts:
    """Answers that the test has put in a row; remembers the tags that were asked with."""

    def __init__(self) -> None:
        self.answers: list[Fetched | Exception] = []
        self.tags: list[str] = []
        self.closed = 0

    def fetch(self, name: str, tag: str, wait: float) -> Fetched:
        self.tags.append(tag)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A keeper with a folder, a clock and a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1000.0
        self.server = FakeAccounts()
        self.share = SharedMemory("senders")
        self.source = AccountsSource(url="unix:/nowhere", folder=folder)
        self.keeper = self.again()

    def again(self) -> SnapshotKeeper:
        """Make another keeper, as the worker after one that has died."""

        def check(data: SnapshotData) -> None:
            if data.get("bad"):
                raise SnapshotError("the record of 'bad' is malformed")

        self.keeper = SnapshotKeeper(
            "senders",
            self.source,
            self.server,
            self.share,
            check,
            get_logger("test"),
            lambda: self.now,
            lambda: 1.0,
        )
        return self.keeper

    def turn(self, *answers: Fetched | Exception) -> tuple[float, list[dict[str, Any]]]:
        """Let it ask once for each answer; returns the last pause and what was logged."""
        self.server.answers = list(answers)
        with capture_logs() as logs:
            for _ in answers:
                pause = self.keeper.turn()
        return pause, [dict(line) for line in logs]

    @property
    def in_use(self) -> str | None:
        read = self.share.read()
        return None if read is None else parse(read[1], "senders").get("is")

    @property
    def on_disk(self) -> str | None:
        found = disk.load(self.folder, "senders")
        return None if found is None else found.get("is")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.share.close()


def sent(what: str, generation: int, lineage: str = "aa", **more: Any) -> Fetched:
    records = sorted({"is": what, **more}.items())
    data = snapshot(records, generation=generation, lineage=lineage)
    return Fetched(data, generation, lineage)


def unchanged(generation: int, lineage: str = "aa") -> Fetched:
    return Fetched(None, generation, lineage)


AWAY = FetchError("away", "no answer")


def test_a_snapshot_is_taken_and_kept(bench: Bench) -> None:
    bench.turn(sent("one", 1))
    assert (bench.in_use, bench.on_disk) == ("one", "one")
    pause, logs = bench.turn(unchanged(3), sent("two", 4))
    assert (bench.in_use, bench.on_disk) == ("two", "two")
    assert pause == keeper.SMALL_PAUSE
    assert [line["generation"] for line in logs] == [4]
    tags = bench.server.tags
    assert tags[0] == ""
    assert tags[1] == tags[2] == parse(sent("one", 1).data or b"", "senders").seal.tag
    assert (bench.folder / "senders.snapshot").stat().st_mode & 0o777 == 0o600


def test_the_last_one_stays_in_use_while_accounts_is_away(bench: Bench) -> None:
    bench.turn(sent("one", 1))
    pauses = [bench.turn(AWAY)[0] for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert bench.in_use == "one"
    pause, logs = bench.turn(unchanged(1))
    assert pause == 0
    assert [line["event"] for line in logs] == ["accounts answers again"]
    assert bench.turn(AWAY)[0] == 1, "the pause begins anew"


def test_pauses_differ_from_daemon_to_daemon(bench: Bench) -> None:
    bench.keeper._draw = lambda: 0.0
    assert [bench.turn(AWAY)[0] for _ in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]


def test_a_failure_that_goes_on_is_told_now_and_then(bench: Bench) -> None:
    told = [len(bench.turn(AWAY)[1]) for _ in range(3)]
    assert told == [1, 0, 0]
    assert len(bench.turn(FetchError("refused", "the token"))[1]) == 1
    bench.now += keeper.TELL_AGAIN
    assert len(bench.turn(FetchError("refused", "the token"))[1]) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        (sent("two", 2).data or b"")[:-10],
        snapshot(name="stores", generation=2),
        sent("two", 2, bad=True).data,
    ],
)
def test_a_snapshot_that_cannot_be_used_changes_nothing(bench: Bench, data: bytes) -> None:
    bench.turn(sent("one", 1))
    pause, (line,) = bench.turn(Fetched(data, 2, "aa"))
    assert line["why"] == "invalid"
    assert pause == keeper.FIRST_PAUSE
    assert (bench.in_use, bench.on_disk) == ("one", "one")
    assert bench.server.closed == 1
    bench.turn(sent("two", 2))
    assert bench.in_use == "two"


def test_an_older_generation_is_refused(bench: Bench) -> None:
    bench.turn(sent("two", 2), unchanged(9))
    _, (line,) = bench.turn(sent("one", 8))
    assert line["why"] == "older"
    assert "generation 8, after 9" in line["problem"]
    assert (bench.in_use, bench.on_disk) == ("two", "two")
    bench.now += PATIENCE - 1
    bench.turn(sent("one", 8))
    assert bench.in_use == "two"
    bench.turn(sent("three", 10))
    assert bench.in_use == "three", "a replica has caught up"


def test_an_older_generation_that_stays_is_taken_and_told(bench: Bench) -> None:
    """The database was restored by means that leave no trace in it."""
    bench.turn(sent("two", 9), sent("one", 4))
    bench.now += PATIENCE
    _, logs = bench.turn(sent("one", 5))
    assert logs[0]["log_level"] == "warning"
    assert logs[0] | {"generation": 5, "before": 9, "same_database": True} == logs[0]
    assert (bench.in_use, bench.on_disk) == ("one", "one")
    bench.turn(sent("two", 6))
    assert bench.in_use == "two"


def test_something_newer_ends_the_patience_with_something_older(bench: Bench) -> None:
    bench.turn(sent("two", 9), sent("one", 4))
    bench.now += PATIENCE
    bench.turn(unchanged(9), sent("one", 4))
    assert bench.in_use == "two"


def test_a_restored_database_is_followed_at_once_and_told(bench: Bench) -> None:
    bench.turn(sent("two", 9))
    _, logs = bench.turn(sent("one", 4, "bb"))
    assert logs[0]["log_level"] == "warning"
    assert logs[0] | {"generation": 4, "before": 9, "same_database": False} == logs[0]
    assert (bench.in_use, bench.on_disk) == ("one", "one")


def test_the_first_change_of_a_new_database_is_no_restore(bench: Bench) -> None:
    _, logs = bench.turn(sent("nothing", 0, ""), sent("one", 1, "aa"))
    assert {line["log_level"] for line in logs} == {"info"}
    assert judge(HeldSnapshot(3, ""), 1, "aa", 0.0)[1] is SnapshotVerdict.REPLACED


def test_a_confirmation_from_elsewhere_lowers_nothing() -> None:
    assert confirm(HeldSnapshot(5, "aa"), 4, "aa") == HeldSnapshot(5, "aa")
    assert confirm(HeldSnapshot(5, "aa"), 9, "bb") == HeldSnapshot(5, "aa")
    assert confirm(HeldSnapshot(5, "aa", older_since=1.0), 9, "aa") == HeldSnapshot(9, "aa")


def test_nothing_changed_since_nothing_is_no_answer(bench: Bench) -> None:
    _, (line,) = bench.turn(unchanged(3))
    assert line["why"] == "invalid"


def test_it_is_in_use_although_the_disk_does_not_take_it(bench: Bench) -> None:
    bench.folder.write_text("a file in the place of the folder")
    _, logs = bench.turn(sent("one", 1))
    assert bench.in_use == "one"
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["why"] == "disk"
    bench.folder.unlink()
    bench.turn(unchanged(1))
    assert bench.on_disk == "one", "it is kept as soon as that works"


def test_the_next_worker_goes_on_where_one_has_died(bench: Bench) -> None:
    bench.turn(sent("two", 5))
    bench.again()
    bench.turn(sent("one", 4))
    assert bench.in_use == "two"
    assert bench.server.tags[-1] == parse(sent("two", 5).data or b"", "senders").seal.tag


def test_a_writer_that_died_at_work_leaves_nothing_half(bench: Bench) -> None:
    bench.turn(sent("two", 5))
    os.pwrite(bench.share._memory, (3).to_bytes(8, "little"), 0)
    assert bench.share.read() is None
    bench.again()
    bench.turn(sent("three", 6))
    assert bench.in_use == "three"


def feed(bench: Bench, taken: list[str]) -> AccountsFeed:
    def take(data: SnapshotData) -> None:
        taken.append(str(data.get("is")))

    return AccountsFeed(bench.source, {"senders": take}, {}, get_logger("test"))


def test_a_daemon_begins_with_what_is_on_disk(bench: Bench) -> None:
    bench.turn(sent("one", 1))
    taken: list[str] = []
    started = feed(bench, taken)
    assert taken == ["one"]
    assert started.problem() is None
    started.refresh()
    assert taken == ["one"], "nothing is taken twice"


@pytest.mark.parametrize("harm", ["cut", "mode", "empty", "folder", "fifo", "none"])
def test_what_cannot_be_used_on_disk_is_left(bench: Bench, harm: str) -> None:
    bench.turn(sent("one", 1))
    file = bench.folder / "senders.snapshot"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif harm == "mode":
        file.chmod(0o640)
    elif harm == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()
        if harm == "folder":
            file.mkdir()
        elif harm == "fifo":
            os.mkfifo(file)
    taken: list[str] = []
    with capture_logs() as logs:
        started = feed(bench, taken)
    assert taken == []
    assert started.problem() == "accounts has not sent senders yet"
    assert [line["log_level"] for line in logs] == ([] if harm == "none" else ["error"])


def test_without_a_url_nothing_is_wanted(tmp_path: Path) -> None:
    source = AccountsSource(folder=tmp_path / "none")
    started = AccountsFeed(source, {"senders": lambda _: None}, {}, get_logger("test"))
    assert started.problem() is None
    started.follow()
    started.keep()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://accounts.example.org:80", "only for this host"),
        ("http://192.0.2.1", "only for this host"),
        ("https://user:secret@accounts.example.org", "only a host"),
        ("https://accounts.example.org/?a=b", "only a host"),
        ("https://accounts.example.org:0", "not a valid address"),
        ("https://accounts.example.org:99999", "not a valid address"),
        ("https:///x", "not a valid address"),
        ("ftp://accounts.example.org", "not a valid address"),
        ("unix:relative", "absolute"),
        ("https://accounts.example.org/a b", "not a valid address"),
    ],
)
def test_an_address_that_is_none_or_would_give_secrets_away(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        AccountsSource(url=url)


@pytest.mark.parametrize(
    "url",
    ["https://accounts.example.org", "https://[2001:db8::1]:8443/gatepost", "http://[::1]:80",
     "http://localhost:8080", "unix:/run/snapshots"],
)  # fmt: skip
def test_an_address(url: str) -> None:
    assert AccountsSource(url=url).url == url
