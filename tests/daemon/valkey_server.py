"""A Valkey server (or Redis, which speaks the same protocol) on a unix socket, for tests."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path
from typing import Self

from tests.testbed.process import Process


class ValkeyServer:
    """The server below a directory; it writes every change to disk before it answers.

    Raises `LookupError` when neither program is installed: these tests are not skipped.
    """

    def __init__(self, directory: Path) -> None:
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            raise LookupError("neither valkey-server nor redis-server is installed")
        self._program = program
        self._directory = directory
        self.socket = directory / "valkey.sock"
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """As `[policyd.store]` takes it."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        self._process = Process(
            [
                self._program,
                *("--port", "0"),
                *("--unixsocket", str(self.socket)),
                *("--dir", str(self._directory)),
                *("--save", ""),
                *("--appendonly", "yes"),
                *("--appendfsync", "always"),
            ],
            self._directory / "valkey.log",
        )
        self._process.wait_until(self._answers, "the Valkey server to answer")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self.socket))
                sock.sendall(b"PING\r\n")
                return sock.recv(64) == b"+PONG\r\n"
            except OSError:
                return False

    def say(self, command: str) -> None:
        """Give it a command, as `CONFIG SET maxmemory 1`."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.socket))
            sock.sendall(f"{command}\r\n".encode())
            assert sock.recv(64) == b"+OK\r\n"

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """Let it hang: connected, and silent."""
        if self._process is not None:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
