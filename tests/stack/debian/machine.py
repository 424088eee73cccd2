"""Debian 13 with systemd as process 1 of a container, and the commands of its root."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Self

from tests.stack.stack import DNS_HOST
from tests.testbed import images
from tests.testbed.pod import Network
from tests.testbed.podman import PodmanError, attempt, inspect, podman
from tests.testbed.waiting import wait_until

CHECKOUT = "/root/gatepost"
"""Where a copy of this tree is, in the container."""
COPIED = (
    *(
        "accounts",
        "delivery",
        "gatepost",
        "milters",
        "msgauth",
        "policyd",
        "etc",
        "images",
        "systemd",
    ),
    *("constraints.txt", "pyproject.toml", "LICENSE", "README.md"),
)
"""The parts of the tree that docs/debian.md needs."""
SLOW = 400.0
"""Maximum seconds for a block of the page, which installs packages, on a machine under load."""
HOSTNAME = "mail.example.org"

_CAPABILITIES = "SYS_ADMIN,SYS_PTRACE"
"""More than podman gives: the units have mounts of their own."""
_IN_A_CGROUP = """
set -e
folder=$1 name=$2
shift 2
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
  mount -t cgroup2 cgroup2 "$folder"
  mkdir "$folder/$name"
  echo $$ > "$folder/$name/cgroup.procs"
  umount "$folder"
fi
exec podman "$@"
"""
"""Runs podman in a cgroup v2 of its own. podman itself makes one where the machine has no other
kind. Elsewhere systemd would take the cgroup of this machine for its own."""
_WITHOUT_A_CGROUP = """
[ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || exit 0
mount -t cgroup2 cgroup2 "$1"
find "$1/$2" -depth -type d -exec rmdir {} + 2> /dev/null
test ! -d "$1/$2"
status=$?
umount "$1"
exit $status
"""


class DebianMachine:
    """A freshly installed machine, for the duration of a `with` block."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._folder = tempfile.TemporaryDirectory(prefix="gatepost-cgroup-")
        self.name = network.new_name()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        command = [
            *("run", "--detach", f"--name={self.name}", f"--hostname={HOSTNAME}"),
            *(f"--network={self._network.name}", f"--dns={DNS_HOST}", "--cgroupns=private"),
            *(f"--cap-add={_CAPABILITIES}", "--security-opt=seccomp=unconfined"),
            *("--security-opt=apparmor=unconfined", "--tmpfs=/run", "--tmpfs=/tmp"),
            images.tag(images.DEBIAN),
        ]
        done = subprocess.run(
            ["sh", "-c", _IN_A_CGROUP, "sh", self._folder.name, self.name, *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
        if done.returncode != 0:
            raise PodmanError(f"Debian does not start: {done.stderr}")
        self.wait_booted()
        self.run(f"mkdir {CHECKOUT}", folder="/")
        tree = Path(self._folder.name) / "tree.tar"
        with tarfile.open(tree, mode="w") as archive:
            for name in COPIED:
                archive.add(images.ROOT / name, name, filter=_without_caches)
        podman("cp", str(tree), f"{self.name}:{CHECKOUT}/tree.tar")
        self.run("tar -xf tree.tar && rm tree.tar")

    def close(self) -> None:
        """Remove it with all that was changed."""
        self._network.remove(self.name)
        words = ["sh", "-c", _WITHOUT_A_CGROUP, "sh", self._folder.name, self.name]
        wait_until(
            lambda: subprocess.run(words, check=False).returncode == 0,
            f"the processes of {self.name} to end",
            deadline=20,
            pause=0.2,
        )
        self._folder.cleanup()

    def wait_booted(self) -> None:
        """Wait until systemd has started all that it should; no unit may have failed."""

        def state() -> str:
            return attempt("exec", self.name, "systemctl", "is-system-running").stdout.strip()

        wait_until(
            lambda: state() in ("running", "degraded"), "systemd to be up", deadline=60, pause=0.2
        )
        failed = self.run("systemctl --failed --no-legend --plain", folder="/")
        assert state() == "running", failed

    def run(self, script: str, folder: str = CHECKOUT) -> str:
        """Paste a block of commands into the shell of root, where an error ends it; return its
        output."""
        shell = ("bash", "-e", "-o", "pipefail", "-c", script)
        done = attempt("exec", f"--workdir={folder}", self.name, *shell, timeout=SLOW)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def log(self) -> str:
        """Return the end of the journal."""
        return attempt("exec", self.name, "journalctl", "--no-pager", "--lines=40").stdout

    @property
    def address(self) -> str:
        """The address at which others reach it."""
        networks = inspect("container", self.name)["NetworkSettings"]["Networks"]
        return str(networks[self._network.name]["IPAddress"])


def _without_caches(found: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if Path(found.name).name in ("__pycache__", ".hypothesis") else found
