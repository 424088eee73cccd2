"""An image by itself, run as its README says: any user, read-only, no capability."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.testbed import images
from tests.testbed.container import Container
from tests.testbed.pod import Network
from tests.testbed.podman import attempt, podman

ANY_USER = 54321
"""No image has this user."""

_LOCKED = (
    "--read-only",
    "--tmpfs=/run:rw,mode=0775",
    "--tmpfs=/tmp:rw",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)


@contextmanager
def configuration() -> Iterator[Path]:
    """Make a folder that every user of a container can read."""
    # pytest's tmp_path can be reached by root alone
    with tempfile.TemporaryDirectory(prefix="gatepost-test-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


class Alone:
    """Containers of one image, which share a folder of settings and a volume."""

    def __init__(self, network: Network, image: str, settings: Path, data: str) -> None:
        self._network = network
        self._image = image
        self._mounts = [f"--volume={settings}:/config/{image}:ro"]
        self._data = data
        self._names: list[str] = []
        self.volume = network.new_name()
        self.on_volume = [f"--volume={self.volume}:{data}"]

    def start(self, *options: str, data: Sequence[str] | None = None) -> Container:
        """Start one that goes on; `data` are options for a volume other than the common one."""
        name = self._network.new_name()
        self._names.append(name)
        podman("run", "--detach", f"--name={name}", *self._options(options, data))
        return Container(self._image, name, ["probe"])

    def run(self, *command: str, options: Sequence[str] = ()) -> tuple[int, str]:
        """Run one to its end; return its exit status and its output."""
        entry = [f"--entrypoint={command[0]}"] if command else []
        done = attempt("run", "--rm", *entry, *self._options(options, None), *command[1:])
        return done.returncode, done.stdout + done.stderr

    def remove(self) -> None:
        """Remove the containers and the volume."""
        for name in self._names:
            self._network.remove(name)
        attempt("volume", "rm", "--force", self.volume)

    def _options(self, options: Sequence[str], data: Sequence[str] | None) -> list[str]:
        given = tuple(options)
        if not any(one.startswith("--network=") for one in options):
            given = (*given, "--network=none")
        user = (
            () if any(one.startswith("--user=") for one in options) else (f"--user={ANY_USER}:0",)
        )
        return [
            *_LOCKED,
            *given,
            *user,
            *self._mounts,
            *(self.on_volume if data is None else data),
            images.tag(self._image),
        ]
