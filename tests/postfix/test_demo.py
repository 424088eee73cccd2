"""`make demo` tells the truth: it succeeds when all is well, and fails when something is broken."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.milters import children, exists
from tests.testbed.process import Process

pytestmark = pytest.mark.timeout(240)  # greylisting waits, and what never comes is waited for

LIMIT = 200
FAILED = re.compile(r"^scene (\d+), ", re.MULTILINE)
FOLDER = re.compile(r"/tmp/gatepost-demo-\w+")  # noqa: S108  # looked for, not used
KEPT = re.compile(r"kept in (/\S+)")


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.demo", *options],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )


def remove_what_was_kept(done: subprocess.CompletedProcess[str]) -> None:
    found = KEPT.search(done.stderr)
    assert found, done.stderr
    assert (Path(found[1]) / "postfix" / "mail.log").exists()
    subprocess.run(["rm", "-r", found[1]], check=True)


def test_every_scene_is_as_it_must_be() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 13 scenes went as expected" in done.stdout
    assert "\033" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) == 80


@pytest.mark.parametrize(
    ("sabotage", "broken"),
    [
        ("key", {"2"}),
        ("policy", {"9", "10", "12"}),
        ("milter", {"2", "4", "5", "6", "13"}),
        ("accounts", {"2", "7", "8", "11"}),
    ],
)
def test_what_is_broken_makes_it_fail(sabotage: str, broken: set[str]) -> None:
    done = demo("--sabotage", sabotage)
    assert done.returncode == 1
    assert set(FAILED.findall(done.stdout)) == broken, done.stdout
    assert "NOT go as expected" in done.stdout
    remove_what_was_kept(done)


def test_kept_running_it_shows_how_and_stops_cleanly(tmp_path: Path) -> None:
    process = Process([sys.executable, "-m", "tools.demo", "--keep"], tmp_path / "out")
    process.wait_until(
        lambda: "Stop it with" in process.log.read_text(errors="replace"), "the demo to be kept"
    )
    text = process.log.read_text()
    assert text.count("  swaks --server 127.0.0.1") >= 10
    assert text.count("/bin/gatepost user add ") == 3
    assert f"kill {process.pid}" in text
    found = re.search(r"configuration, logs +(/\S+)", text)
    assert found
    assert Path(found[1], "gatepost.toml").exists()
    process.signal(signal.SIGTERM)
    assert process.wait() == 0, process.log.read_text()
    assert not Path(found[1]).exists()


@pytest.mark.parametrize("after", ["ok gatepost milters", "ok scene 1"])
@pytest.mark.parametrize("option", [[], ["--keep"]], ids=["", "keep"])
def test_ctrl_c_ends_it_quietly(tmp_path: Path, after: str, option: list[str]) -> None:
    process = Process([sys.executable, "-m", "tools.demo", *option], tmp_path / "out")
    process.wait_until(lambda: after in process.log.read_text(errors="replace"), after)
    started = children(process.pid)
    (folder,) = {
        found[0]
        for pid in started
        if (found := FOLDER.search(Path(f"/proc/{pid}/cmdline").read_text()))
    }
    # as a terminal does it: to the whole process group
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert [pid for pid in started if exists(pid)] == [], process.log.read_text()
    text = process.log.read_text()
    assert text.rstrip().endswith("stopping"), text
    assert "!!" not in text
    assert "Traceback" not in text
    assert not Path(folder).exists()
