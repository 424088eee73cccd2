"""The parent and its workers, as a real process."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = textwrap.dedent(
    """
    import os, sys, threading
    from gatepost.config import LogSettings
    from gatepost.daemon import Prefork, StartError
    from gatepost.logs import configure, get_logger

    configure(LogSettings(format="json"))

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def work(control):
        done = threading.Event()
        say("worker", os.getpid())
        if sys.argv[1] == "stubborn":
            control.listen(lambda: say("reload"), lambda: say("drain"))
        else:
            control.listen(lambda: say("reload"), lambda: (say("drain"), done.set()))
        control.ready()
        done.wait()

    looks = iter(range(100))

    def changed():
        if sys.argv[1] == "lost" and next(looks) > 0:
            raise StartError("the ground is gone")
        return False

    forks = iter([None, OSError(11, "Resource temporarily unavailable"), None, None])
    fork = os.fork

    def unwilling():
        if error := next(forks):
            raise error
        return fork()

    if sys.argv[1] == "crowded":
        os.fork = unwilling

    prefork = Prefork(
        2, work, log=get_logger("test"), reload=lambda: sys.argv[1] != "broken",
        changed=changed, grace=lambda: 0.5 if sys.argv[1] == "stubborn" else 30,
        started=lambda: say("started", os.getpid()),
    )
    sys.exit(prefork.run())
    """
)


class Parent:
    def __init__(self, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, mode], stdout=subprocess.PIPE, text=True
        )

    def read(self, *words: str) -> list[str]:
        """The lines up to the one that completes all the words, whatever their order."""
        assert self.process.stdout
        waiting = list(words)
        lines: list[str] = []
        while waiting:
            line = self.process.stdout.readline()
            assert line, f"ended before {waiting}: {lines}"
            lines.append(line.strip())
            if line.split()[0] in waiting:
                waiting.remove(line.split()[0])
        return lines

    def workers(self) -> set[int]:
        lines = self.read("worker", "worker", "started")
        return {int(line.split()[1]) for line in lines if line.startswith("worker")}


@pytest.fixture
def parent(request: pytest.FixtureRequest) -> Iterator[Parent]:
    started = Parent(getattr(request, "param", "well"))
    yield started
    started.process.kill()
    started.process.communicate()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_sigterm_drains_every_worker_and_ends_with_0(parent: Parent) -> None:
    workers = parent.workers()
    parent.process.send_signal(signal.SIGTERM)
    parent.read("drain", "drain")
    assert parent.process.wait(20) == 0
    assert not any(map(alive, workers))


def test_a_worker_that_dies_is_started_again(parent: Parent) -> None:
    workers = parent.workers()
    os.kill(min(workers), signal.SIGKILL)
    again = parent.read("worker")[-1].split()[1]
    assert int(again) not in workers
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(20) == 0


def test_sighup_reaches_every_worker(parent: Parent) -> None:
    parent.workers()
    parent.process.send_signal(signal.SIGHUP)
    parent.read("reload", "reload")


@pytest.mark.parametrize("parent", ["broken"], indirect=True)
def test_workers_hear_nothing_of_a_reload_that_failed(parent: Parent) -> None:
    parent.workers()
    parent.process.send_signal(signal.SIGHUP)
    parent.process.send_signal(signal.SIGTERM)
    assert parent.read("drain", "drain") == ["drain", "drain"]


@pytest.mark.parametrize("parent", ["stubborn"], indirect=True)
def test_a_worker_that_does_not_drain_is_killed_after_the_grace(parent: Parent) -> None:
    workers = parent.workers()
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(20) == 0
    assert not any(map(alive, workers))


def test_no_worker_outlives_its_parent(parent: Parent) -> None:
    parent.workers()
    parent.process.kill()
    parent.read("drain", "drain")
    assert parent.process.stdout
    assert parent.process.stdout.read() == ""  # the end: both have closed their output


@pytest.mark.parametrize("parent", ["lost"], indirect=True)
def test_what_cannot_go_on_drains_and_says_why(parent: Parent) -> None:
    workers = parent.workers()
    parent.read("drain", "drain")
    assert parent.process.wait(50) == 1
    assert not any(map(alive, workers))


@pytest.mark.parametrize("parent", ["crowded"], indirect=True)
def test_a_machine_without_room_for_a_process_gets_it_later(parent: Parent) -> None:
    assert len(parent.workers()) == 2
    parent.process.terminate()
    assert parent.process.wait(50) == 0
