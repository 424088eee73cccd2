"""The watch of Postfix against a showq and a journalctl that misbehave."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost.logs import get_logger
from gatepost.postfix_watch.log_place import PlaceFile
from gatepost.postfix_watch.queue_list import QueueListError
from gatepost.postfix_watch.queue_watcher import QueueWatcher, read_queue
from gatepost.postfix_watch.systemd_journal import SystemdJournal
from tests.testbed.waiting import wait_until
from tests.unit.gatepost.postfix_watch.test_queue import LIST

ENTRY = {"SYSLOG_IDENTIFIER": "postfix/smtp", "MESSAGE": "one"}


class Showq:
    """A socket that answers each connection with the same octets, and then closes it or waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.octets, self.is_closing = LIST, True
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                connection.sendall(self.octets)
                if self.is_closing:
                    connection.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (self._listening, *self._open):
            one.close()


@pytest.fixture
def showq(tmp_path: Path) -> Iterator[Showq]:
    showq = Showq(tmp_path / "showq")
    yield showq
    showq.close()


def test_a_list_that_breaks_off_is_none(showq: Showq) -> None:
    showq.octets = LIST[:-9]
    with pytest.raises(QueueListError, match="breaks off"):
        read_queue(showq.path)


def test_an_endless_list_counts_as_far_as_it_came(showq: Showq) -> None:
    showq.octets, showq.is_closing = LIST[:-1], False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gatepost.postfix_watch.queue_watcher.STEP", 0.2)
        with pytest.raises(TimeoutError):
            read_queue(showq.path)
    showq.octets = LIST[:-1] + LIST[LIST.index(b"queue_name") : -1] * 20_000
    state = read_queue(showq.path, most=0.05)
    assert state.is_partial
    assert state.mails["hold"] >= 1


def test_a_watcher_says_what_is_wrong(showq: Showq, tmp_path: Path) -> None:
    watcher = QueueWatcher(tmp_path / "missing", get_logger("test"))
    assert watcher.turn() == 60.0
    assert watcher.problem() == f"{tmp_path}/missing: No such file or directory"
    assert watcher.state is None
    showq.path.rename(tmp_path / "missing")
    watcher.turn()
    assert watcher.problem() is None
    assert watcher.state is not None
    assert watcher.state.mails["hold"] == 1


class FakeJournal:
    """A journalctl on PATH that writes a file, and goes on or ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.output = folder / "output"
        self.place = PlaceFile(folder / "place")
        self.ends(False)

    def ends(self, ends: bool) -> None:
        script = self._folder / "journalctl"
        end = "exit 1" if ends else "sleep 100"
        script.write_text(
            f'#!/bin/sh\necho "$@" > {self._folder}/words\ncat {self.output}\nexec {end}\n'
        )
        script.chmod(0o755)

    def write(self, *entries: object) -> None:
        self.output.write_text("".join(f"{json.dumps(one)}\n" for one in entries))

    def words(self) -> list[str]:
        return (self._folder / "words").read_text().split()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeJournal:
    monkeypatch.setattr(
        "gatepost.postfix_watch.systemd_journal.PATH", f"{tmp_path}:{os.environ['PATH']}"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return FakeJournal(tmp_path)


def entry(at: int, text: object = "one", tag: object = "postfix/smtp") -> dict[str, object]:
    return {"__REALTIME_TIMESTAMP": str(at), "SYSLOG_IDENTIFIER": tag, "MESSAGE": text}


def test_the_journal_of_systemd(journal: FakeJournal) -> None:
    journal.write(
        entry(1_000_000, "old"),
        entry(3_000_000, "new"),
        entry(3_000_000, [98, 195, 40]),  # not UTF-8
        entry(4_000_000, "x", "sshd"),
        entry(4_000_000, None),
        entry(4_000_000, "x", 7),
        {"MESSAGE": "x"},
        [1],
        entry(5_000_000, "y" * 100_000),
        entry(6_000_000, "last"),
    )
    follower = SystemdJournal(journal.place, clock=lambda: 2.0)
    found: list[tuple[str, bool]] = []

    def read_all() -> bool:
        found.extend((line.text, is_news) for line, is_news in follower.lines())
        return bool(found) and found[-1][0] == "last"

    wait_until(read_all, "the last line")
    assert found[:3] == [("old", False), ("new", True), ("b\ufffd(", True)]
    assert found[-1] == ("last", True)
    assert len(found) == 4
    # nobody but the units of Postfix can write such lines
    assert "--unit=postfix*" in journal.words()
    follower.save()
    follower.close()
    # the next one knows how far this one came
    journal.write(entry(6_000_000, "last"), entry(7_000_000, "next"))
    found.clear()
    follower = SystemdJournal(journal.place)
    wait_until(lambda: read_all() or len(found) == 2, "the next line")
    assert found == [("last", False), ("next", True)]
    follower.close()


def test_a_journalctl_that_ends_is_a_problem(journal: FakeJournal) -> None:
    journal.write(entry(3_000_000))
    journal.ends(True)
    follower = SystemdJournal(journal.place, clock=lambda: 2.0)
    with pytest.raises(OSError, match="journalctl has ended with status 1"):
        wait_until(lambda: list(follower.lines()) is None, "its end")
    follower.close()
