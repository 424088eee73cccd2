import os
import subprocess
import sys
from pathlib import Path

from gatepost.worker_files import _remove_left_behind


def test_what_a_killed_daemon_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"gatepost-metrics-{ended.pid}-abc"
    kept = [
        tmp_path / f"gatepost-metrics-{os.getpid()}-abc",
        tmp_path / "gatepost-metrics-x",
        tmp_path / f"other-{ended.pid}-abc",
    ]
    for folder in (left, *kept):
        folder.mkdir()
        (folder / "counter_1.db").touch()
    _remove_left_behind(tmp_path)
    assert not left.exists()
    assert all((folder / "counter_1.db").exists() for folder in kept)
