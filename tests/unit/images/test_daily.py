"""`daily` of the images, which runs a job each day: its clock, its probe and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.waiting import wait_until

DAILY = Path(__file__).resolve().parents[3] / "images" / "base" / "daily"
DAY = 86400


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder)}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", DAILY, *words],
        env=environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", DAILY, "--check"],
        env=environment(folder),
        text=True,
        capture_output=True,
        check=False,
    )


def clock(folder: Path, now: int) -> None:
    """Set the clock of the script: a `date` that answers `+%s` alone by itself."""
    (folder / "now").write_text(str(now))
    fake = folder / "date"
    fake.write_text(
        f'#!/bin/sh\n[ "$*" != "+%s" ] || exec cat {folder}/now\n'
        f'[ "$2" != -d ] || case $3 in today*) set -- -u -d "$(/bin/date -u -d @$(cat {folder}/now)'
        f' +%F) ${{3#today }}" +%s ;; esac\nexec /bin/date "$@"\n'
    )
    fake.chmod(0o755)


def due(folder: Path) -> int:
    path = folder / "daily.due"
    wait_until(lambda: path.exists() and path.read_text().strip(), "a time")
    return int(path.read_text())


def at(clock_time: str, day: str = "2026-11-27") -> int:
    return int(subprocess.check_output(["date", "-u", "-d", f"{day} {clock_time}", "+%s"]))


@pytest.mark.parametrize(
    ("now", "wanted", "expected"),
    [
        ("01:00", "02:40", at("02:40")),
        ("02:40", "02:40", at("02:40") + DAY),
        ("23:59", "00:00", at("00:00") + DAY),
    ],
)
def test_it_waits_for_its_time(
    tmp_path: Path, started: list[subprocess.Popen[str]], now: str, wanted: str, expected: int
) -> None:
    clock(tmp_path, at(now))
    started.append(start(tmp_path, wanted, "false"))
    assert due(tmp_path) == expected
    assert check(tmp_path).returncode == 0
    # a run may take a while, and a loop that is dead is late
    clock(tmp_path, expected + 8 * 3600 + 1)
    late = check(tmp_path)
    assert late.returncode == 1
    assert "it was due at 2026-11-2" in late.stderr


def test_it_runs_once_and_waits_for_the_next_day(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    clock(tmp_path, at("02:39"))
    (tmp_path / "sleep").write_text(
        f"#!/bin/sh\necho {at('02:41')} > {tmp_path}/now.new\n"
        f"mv {tmp_path}/now.new {tmp_path}/now\nexec /bin/sleep 0.2\n"
    )
    (tmp_path / "sleep").chmod(0o755)
    started.append(start(tmp_path, "02:40", "sh", "-c", f"echo run >> {tmp_path}/runs; exit 3"))
    wait_until(lambda: (tmp_path / "runs").exists(), "a run")
    wait_until(lambda: due(tmp_path) == at("02:40") + DAY, "the next day")
    started[0].send_signal(signal.SIGTERM)
    said, errors = started[0].communicate(timeout=10)
    assert "is next run at 2026-11-27T02:40Z" in said
    assert "is next run at 2026-11-28T02:40Z" in said
    assert "has failed with exit status 3" in errors
    assert (tmp_path / "runs").read_text() == "run\n"


def test_its_end_ends_the_job(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    clock(tmp_path, at("02:39"))
    started.append(start(tmp_path, "02:40", "false"))
    due(tmp_path)
    begin = time.monotonic()
    started[0].send_signal(signal.SIGTERM)
    assert started[0].wait(timeout=10) == 0
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("25:00", "true"), "'25:00' is no time of day"),
        (("2:40", "true"), "'2:40' is no time of day"),
        (("02:40",), "there is no command"),
        ((), "'' is no time of day"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, words: tuple[str, ...], reason: str) -> None:
    process = start(tmp_path, *words)
    assert reason in process.communicate(timeout=10)[1]
    assert process.returncode == 1


def test_the_probe_fails_before_it_has_begun(tmp_path: Path) -> None:
    assert "it has not begun" in check(tmp_path).stderr
