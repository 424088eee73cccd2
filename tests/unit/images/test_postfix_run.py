"""`run` of the Postfix image: one Postfix for each queue, and the end of a drained queue."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[3] / "images" / "postfix" / "bin" / "run"
STUBS = {
    # what starts stays until `postfix stop`
    "postfix": """
case $1 in
  start-fg) echo started; trap 'exit 0' TERM; touch "$GATE_SPOOL/running"
            while [ -e "$GATE_SPOOL/running" ]; do sleep 0.1; done ;;
  stop) rm -f "$GATE_SPOOL/running" ;;
esac
""",
    "render": 'touch "$1/main.cf" "$1/master.cf"',
    "check": "exit 0",
    # the setting maillog_file
    "postconf": 'echo "${LOG_FILE:-}"',
    "tail": 'echo $$ >> "$GATE_SPOOL/tail"; exec sleep 600',
    # a disk that fails, as long as there is a file that says so
    "find": """
case $* in */deferred*) [ ! -e "$GATE_SPOOL/damaged" ] || exit 1 ;; esac
PATH=/usr/bin:/bin exec find "$@"
""",
    "chmod": '[ ! -e "$GATE_SPOOL/full" ] || exit 1; PATH=/usr/bin:/bin exec chmod "$@"',
    # there is no user postfix here
    "install": 'while [ $# -gt 1 ]; do shift; done; mkdir -p "$1"',
}
"""The programs of the image that `run` calls, as a shell script each."""


class Runs:
    """Containers of the image, in one folder for the queue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        (self.spool / "queue").mkdir(parents=True)
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name, text in STUBS.items():
            (self.programs / name).write_text(f"#!/bin/bash\n{text}")
            (self.programs / name).chmod(0o755)
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, **variables: str) -> subprocess.Popen[bytes]:
        run = self.folder / name
        run.mkdir()
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "GATE_RUN": str(run),
            "GATE_SPOOL": str(self.spool),
            "GATE_WATCH_INTERVAL": "1",
            **variables,
        }
        with (run / "log").open("wb") as log:
            process = subprocess.Popen(["bash", RUN], env=environment, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def says(self, name: str, words: str) -> None:
        """Wait until the container has written `words`."""
        deadline = time.monotonic() + 60
        while words not in self.log(name):
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.05)

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    all_of_them = Runs(tmp_path)
    yield all_of_them
    (all_of_them.spool / "running").unlink(missing_ok=True)
    for each in all_of_them.started:
        each.kill()
        each.wait()
    if (tail := all_of_them.spool / "tail").exists():
        for pid in tail.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_a_second_postfix_waits_for_the_end_of_the_first(runs: Runs) -> None:
    """A change of the topology starts the new pod before it ends the old one."""
    first = runs.start("first")
    runs.says("first", "started")
    pid = runs.spool / "queue" / "pid" / "master.pid"
    pid.parent.mkdir()
    pid.touch()
    runs.start("second")
    runs.says("second", "another Postfix has this queue")
    assert pid.exists()
    assert "started" not in runs.log("second")
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    runs.says("second", "started")


def test_who_waits_can_be_stopped(runs: Runs) -> None:
    runs.start("first")
    runs.says("first", "started")
    second = runs.start("second")
    runs.says("second", "another Postfix has this queue")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0


@pytest.mark.parametrize("where", ["deferred/A", "hold", "active", "incoming", "maildrop"])
def test_a_drained_queue_ends_when_it_is_empty(runs: Runs, where: str) -> None:
    message = runs.spool / "queue" / where / "4bXyz"
    message.parent.mkdir(parents=True)
    message.touch()
    drain = runs.start("drain", POSTFIX_DRAIN="yes")
    runs.says("drain", "started")
    with pytest.raises(subprocess.TimeoutExpired):
        drain.wait(4)
    message.unlink()
    assert drain.wait(60) == 0
    assert "the queue is empty" in runs.log("drain")


def test_a_postfix_that_is_not_drained_stays(runs: Runs) -> None:
    process = runs.start("it")
    runs.says("it", "started")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)


def test_a_queue_that_cannot_be_read_is_not_empty(runs: Runs) -> None:
    (runs.spool / "queue" / "deferred").mkdir()
    damaged = runs.spool / "damaged"
    damaged.touch()
    drain = runs.start("drain", POSTFIX_DRAIN="yes")
    runs.says("drain", "started")
    with pytest.raises(subprocess.TimeoutExpired):
        drain.wait(4)
    damaged.unlink()
    assert drain.wait(60) == 0


def test_what_shows_the_log_does_not_keep_the_queue(runs: Runs) -> None:
    first = runs.start("first", LOG_FILE=str(runs.folder / "mail.log"))
    runs.says("first", "started")
    for name in ("tail", "running"):
        wait_until((runs.spool / name).exists)
    first.kill()
    first.wait()
    (runs.spool / "running").unlink()
    runs.start("second")
    runs.says("second", "started")


def test_a_log_that_cannot_be_renewed_stays_in_use(runs: Runs) -> None:
    log, old, full = (runs.folder / name for name in ("mail.log", "mail.log.1", "spool/full"))
    runs.start("it", LOG_FILE=str(log))
    runs.says("it", "started")
    full.touch()
    with log.open("wb") as stream:
        stream.truncate(17 << 20)
    time.sleep(3)
    wait_until(lambda: log.exists() and log.stat().st_size > 0)
    full.unlink()
    wait_until(lambda: old.exists() and log.exists())
    assert (old.stat().st_size, log.stat().st_size) == (17 << 20, 0)


def test_one_that_is_stopped_before_the_queue_is_empty_has_failed(runs: Runs) -> None:
    """When its node is drained, its job must not be complete."""
    message = runs.spool / "queue" / "active" / "4bXyz"
    message.parent.mkdir(parents=True)
    message.touch()
    first = runs.start("first", POSTFIX_DRAIN="yes")
    runs.says("first", "started")
    second = runs.start("second", POSTFIX_DRAIN="yes")
    runs.says("second", "another Postfix has this queue")
    for each in (second, first):
        each.send_signal(signal.SIGTERM)
        assert each.wait(60) == 1
