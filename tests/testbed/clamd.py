"""Real clamd with a database of two signatures, and the test file that they find."""

from __future__ import annotations

import base64
import hashlib
import shutil
import signal
from pathlib import Path
from typing import Self

from tests.testbed.ports import LOOPBACK, free_port
from tests.testbed.process import Process

CLAMD = shutil.which("clamd") or "/usr/sbin/clamd"
# in two parts, so that no scanner finds it in this file
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
ATTACHMENT = (
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: application/octet-stream; name="invoice.com"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n" + base64.b64encode(EICAR) + b"\r\n"
)
"""The last fields and the body of a message with the test file."""
NAME = "Gatepost.Test.Eicar"
"""The beginning of the name of what is found."""


class ClamdServer:
    """clamd on loopback, with its files in `folder`; `stream_max` is StreamMaxLength."""

    def __init__(self, folder: Path, stream_max: str = "30M", options: str = "") -> None:
        self.port = free_port()
        self._folder = folder
        database = folder / "database"
        database.mkdir()
        digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
        (database / "test.hdb").write_text(f"{digest}:{len(EICAR)}:{NAME}-HDB\n")
        (database / "test.ndb").write_text(f"{NAME}-NDB:0:*:{EICAR[:60].hex()}\n")
        self._config = folder / "clamd.conf"
        self._config.write_text(
            f"DatabaseDirectory {database}\nTCPSocket {self.port}\nTCPAddr {LOOPBACK}\n"
            f"Foreground yes\nMaxThreads 2\nStreamMaxLength {stream_max}\n{options}"
        )
        self._process: Process | None = None

    @property
    def address(self) -> str:
        """Return its address for a configuration."""
        return f"inet:{self.port}@{LOOPBACK}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self._folder / "clamd.log"
        before = log.stat().st_size if log.exists() else 0
        self._process = Process([CLAMD, "-c", self._config], log, env={"LC_ALL": "C.UTF-8"})
        self._process.wait_until(
            lambda: b"Self checking" in log.read_bytes()[before:], "clamd to be ready"
        )

    def pause(self) -> None:
        """Stop it for now: connections are accepted and nothing answers."""
        assert self._process is not None
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
