"""Copy of this machine that a test may change, including packages, users and /etc.

It is an overlay over the root file system, in its own mount and process namespaces. Changes stay in
memory and disappear at the end, as do all processes. It uses the caller's network. systemd does not
run in it; `tests.testbed.systemctl` replaces its commands. It needs root.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.testbed.waiting import wait_until

ROOT = Path(__file__).parents[2]
"""The checkout, which has the same path in the copy."""

_SET_UP = """
set -e
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$1/root/run"
touch "$1/root/run/ready"
exec sleep infinity
"""

_STAND_INS = {
    "systemctl": 'exec {python} -m tests.testbed.systemctl "$@"',
    "journalctl": 'exec {python} -m tests.testbed.systemctl journal "$@"',
}


class Machine:
    """A copy of the machine, for the duration of a `with` block."""

    def __init__(self) -> None:
        self._base = Path(tempfile.mkdtemp(prefix="gatepost-machine-", dir="/var/tmp"))
        self._holder: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        script = ["sh", "-c", _SET_UP, "sh", str(self._base)]
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        self._holder = subprocess.Popen([*unshare, *script])
        try:
            self._pid = wait_until(self._first_process, "the copy of the machine")
            self._prepare()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process in it and discard all changes."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            self._holder = None
        with contextlib.suppress(OSError):
            self._base.rmdir()

    def run(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a bash script as root; it stops at the first command that fails."""
        command = ["nsenter", f"--target={self._pid}", "--mount", "--pid", "chroot", self.root]
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
        }
        # not a pipe: a daemon started here would keep it open until the daemon ends
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                [*command, "bash", "-ec", f"umask 022; cd {ROOT}\n{script}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                timeout=120,
                check=False,
            )
            out.seek(0)
            err.seek(0)
            finished = subprocess.CompletedProcess(script, done.returncode, out.read(), err.read())
        if check:
            assert done.returncode == 0, f"{script}\n{finished.stdout}\n{finished.stderr}"
        return finished

    def write(self, path: str, text: str) -> None:
        """Write a file as root."""
        file = self.inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def inside(self, path: str) -> Path:
        """Return the path from outside to a file of the copy."""
        return Path(f"/proc/{self._pid}/root{self.root}{path}")

    @property
    def root(self) -> str:
        """The root of the copy in its mount namespace."""
        return f"{self._base}/root"

    def _first_process(self) -> int:
        assert self._holder is not None
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        for child in children.split():
            if Path(f"/proc/{child}/root{self.root}/run/ready").exists():
                return int(child)
        return 0

    def _prepare(self) -> None:
        """Install the commands of Gatepost and systemd; let every user enter the checkout."""
        folders = {Path(sys.executable).parent, ROOT, Path(sys.executable).resolve().parent}
        above = {str(path) for folder in folders for path in (folder, *folder.parents)}
        self.run(f"chmod go+x {' '.join(sorted(above))}")
        for name, line in _STAND_INS.items():
            text = f"#!/bin/sh\ncd {ROOT}\n{line.format(python=sys.executable)}\n"
            self.write(f"/usr/local/sbin/{name}", text)
        venv = Path(sys.executable).parent.parent
        self.run(
            "chmod 0755 /usr/local/sbin/systemctl /usr/local/sbin/journalctl\n"
            f"ln -sfn {venv} /opt/gatepost"
        )
        assert os.geteuid() == 0
