"""Server under test: started with our configuration, measured, stopped."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.process import Process
from tests.testbed.waiting import wait_until
from tools.bench.build import ROOT
from tools.bench.load import LoadError
from tools.bench.usage import cpu_seconds, members, pss_mib


def answers(port: int, path: str) -> bool:
    """Return whether the HTTP server at the port answers 200."""
    request = f"GET {path} HTTP/1.0\r\n\r\n".encode()
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as client:
            client.sendall(request)
            return b" 200 " in client.makefile("rb").readline()
    except OSError:
        return False


class Server(ABC):
    """A server in a folder of its own, while the context is open.

    `over` is ``unix`` or ``inet``: how it is reached.
    """

    name: str

    def __init__(self, folder: Path, *, over: str = "unix") -> None:
        kind = type(self).__name__.lower()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=folder))
        self.folder.chmod(0o755)
        self.port = free_port() if over == "inet" else 0
        self.socket = self.folder / "socket"
        self.processes: list[Process] = []

    @property
    def address(self) -> str:
        """Return the address in the form for the load generators."""
        return f"inet:{self.port}" if self.port else f"unix:{self.socket}"

    @property
    def postfix(self) -> str:
        """Return the address in the form of main.cf."""
        return f"inet:{LOOPBACK}:{self.port}" if self.port else f"unix:{self.socket}"

    def listen(self, unix: str = "unix") -> str:
        """Return the address for Gatepost and opendkim; `unix` is their word for a socket file."""
        return f"inet:{self.port}@{LOOPBACK}" if self.port else f"{unix}:{self.socket}"

    @abstractmethod
    def start(self) -> None:
        """Write the configuration and call `run()`."""

    def run(self, *argv: str | Path, env: dict[str, str] | None = None) -> None:
        """Start a program of this server."""
        self.processes.append(Process(argv, self.folder / "log", env=env, cwd=ROOT))

    def run_to_end(self, *argv: str | Path) -> None:
        """Run a program that prepares the server; raises `LoadError` if it fails."""
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LoadError(f"{self.name}: {done.stderr.strip()[:300]}")

    def write(self, name: str, text: str) -> Path:
        """Write a file of its configuration."""
        path = self.folder / name
        path.write_text(text)
        return path

    @property
    def sessions(self) -> Sequence[int]:
        """Return the sessions that its processes belong to."""
        return [process.pid for process in self.processes]

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return cpu_seconds(self.sessions)

    def memory(self) -> float:
        """Return the MiB in use (PSS)."""
        return pss_mib(members(self.sessions))

    def __enter__(self) -> Self:
        self.processes = []
        self.socket.unlink(missing_ok=True)
        try:
            self.start()
            wait_until(self.is_ready, f"{self.name} to be ready", check=self.check)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.stop(5)

    def check(self) -> None:
        """Raise `ProcessDied` if one of its programs has ended."""
        for process in self.processes:
            process.check_running()

    def is_ready(self) -> bool:
        """Return whether it accepts connections."""
        family = socket.AF_INET if self.port else socket.AF_UNIX
        with socket.socket(family) as client:
            try:
                client.connect((LOOPBACK, self.port) if self.port else str(self.socket))
            except OSError:
                return False
        return True
