"""A user who owns a folder that root works in, and who swaps what lies in it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

UID = GID = 65534

_SWAP = """
import os, random, sys, time
os.setgroups([])
os.setgid(int(sys.argv[5]))
os.setuid(int(sys.argv[5]))
victim, folders, names = sys.argv[1], sys.argv[2].split(":"), sys.argv[3].split(":")
pick = random.Random(int(sys.argv[4]))

def make(path):
    match pick.randrange(5):
        case 0: os.symlink(victim, path)
        case 1: os.mkfifo(path)
        case 2: os.mkdir(path)
        case 3: open(path, "x").close()
        case 4: os.symlink(os.path.dirname(victim), path)

print("ready", flush=True)
while True:
    time.sleep(pick.random() * 0.001)
    for folder in folders:
        try:
            seen = os.listdir(folder)
        except OSError:
            continue
        for name in {*names, *seen}:
            path = folder + "/" + name
            try:
                if pick.random() < 0.2:
                    os.rename(path, folder + "/.away." + str(pick.randrange(100)))
                if pick.random() < 0.1:
                    make(path)
            except OSError:
                pass
"""


class Victim(NamedTuple):
    """A folder of root with a file in it; nothing of either may change."""

    file: Path
    before: tuple[object, ...]

    def assert_untouched(self) -> None:
        """Fail where owner, mode, links, content or entries have changed."""
        assert _state(self.file) == self.before


def _state(file: Path) -> tuple[object, ...]:
    seen: list[object] = [sorted(os.listdir(file.parent)), file.read_bytes()]
    for path in (file, file.parent):
        status = path.stat()
        seen += [status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)]
    return tuple(seen)


@contextmanager
def foreign_folder() -> Iterator[tuple[Path, Victim]]:
    """A folder of `UID`, and a victim that it has no business with."""
    with tempfile.TemporaryDirectory() as name:  # those of pytest are closed to others
        top = Path(name)
        top.chmod(0o755)
        (top / "theirs").mkdir()
        os.chown(top / "theirs", UID, GID)
        (top / "roots").mkdir()
        file = top / "roots" / "file"
        file.write_text("root's\n")
        file.chmod(0o600)
        yield top / "theirs", Victim(file, _state(file))


@contextmanager
def swapping(victim: Victim, folders: list[Path], names: list[str], seed: int) -> Iterator[None]:
    """Let a process of `UID` swap entries of these folders as fast as it can."""
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            _SWAP,
            str(victim.file),
            ":".join(map(str, folders)),
            ":".join(names),
            str(seed),
            str(UID),
        ],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()
