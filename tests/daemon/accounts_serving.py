"""Servers of accounts in a thread, with a handler of the test, and clients for their protocols."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import uvloop

from gatepost.daemon import ConnectionBounds, RequestServer, listening_socket
from gatepost.listen import Inet, Unix
from tests.testbed.closing import Closing
from tests.testbed.ports import LOOPBACK, free_port

T = TypeVar("T")

GRACE = 10.0
"""Seconds for a drain."""
TIMEOUT = 60.0
"""Seconds that a client waits before it is an error."""


def bounds(
    idle: float = 60, request: float = 60, answer: float = 60, connections: float = 100
) -> Callable[[], ConnectionBounds]:
    made = ConnectionBounds(idle, request, answer, int(connections))
    return lambda: made


class Serving(Closing):
    """A server on one socket, from construction to `close()`, which drains it.

    `make()` is called in the event loop. With a `path` it is a unix socket, else TCP on loopback.
    """

    def __init__(
        self,
        make: Callable[[], RequestServer[Any, Any]],
        path: Path | None = None,
        *,
        port: int = 0,
        uv: bool = False,
    ) -> None:
        self.address = Unix(path) if path else Inet(LOOPBACK, port or free_port())
        self._listener = listening_socket(self.address, 0o666)
        self._loop = uvloop.new_event_loop() if uv else asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._drained = False
        self.server: RequestServer[Any, Any] = self.call(make)
        self.run(self.server.start([self._listener]))

    @property
    def postfix(self) -> str:
        """Its address as main.cf writes it."""
        return self.address.postfix

    def run(self, work: Any) -> Any:
        """Run a coroutine in the event loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the event loop and return its result."""

        async def calling() -> T:
            return function()

        result: T = self.run(calling())
        return result

    def connect(self, receive_buffer: int = 0) -> Client:
        """Return a new connection; `receive_buffer` are the octets that it takes unread."""
        return Client(self.address, receive_buffer)

    def drain(self) -> None:
        """Drain it, as at the end of the daemon."""
        self._drained = True
        self.run(self.server.drain(GRACE))

    def close(self) -> None:
        """Drain it and end the event loop."""
        if self._loop.is_closed():
            return
        if not self._drained:
            self.drain()
        self.run(asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()


class Client(Closing):
    """A connection of a mail program; octets in and out."""

    def __init__(self, address: Inet | Unix, receive_buffer: int = 0) -> None:
        is_unix = isinstance(address, Unix)
        self.sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            # with a time limit, a unix socket whose queue is full would answer EAGAIN at once
            self.sock.connect(
                str(address.path) if isinstance(address, Unix) else (address.host, address.port)
            )
            self.sock.settimeout(TIMEOUT)
        except OSError:
            self.sock.close()
            raise
        self._received = b""

    def send(self, data: bytes) -> None:
        """Send octets."""
        self.sock.sendall(data)

    def read_line(self) -> str:
        """Return the next line without its LF; `EOFError` at the end."""
        while b"\n" not in self._received:
            self._receive()
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def read_octets(self, count: int) -> bytes:
        """Return the next octets; `EOFError` at the end."""
        portions, left = [self._received], count - len(self._received)
        self._received = b""
        while left > 0:
            portions.append(self.sock.recv(min(left, 1 << 20)))
            if not portions[-1]:
                raise EOFError(portions)
            left -= len(portions[-1])
        return b"".join(portions)

    def read_netstring(self) -> str:
        """Return the next netstring; `EOFError` at the end."""
        while b":" not in self._received:
            self._receive()
        size, _, rest = self._received.partition(b":")
        self._received = rest
        while len(self._received) <= int(size):
            self._receive()
        text, comma = self._received[: int(size)], self._received[int(size) : int(size) + 1]
        assert comma == b","
        self._received = self._received[int(size) + 1 :]
        return text.decode()

    def _receive(self) -> None:
        data = self.sock.recv(8192)
        if not data:
            raise EOFError(self._received)
        self._received += data

    def closed(self) -> bool:
        """Wait for the end; whether there was nothing before it."""
        try:
            return self._received == b"" and self.sock.recv(65536) == b""
        except ConnectionResetError:
            return True

    def ended(self) -> bool:
        """Read until the end."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def ask(self, table: str, key: str) -> str:
        """Ask a socketmap and return the reply."""
        request = f"{table} {key}".encode()
        self.send(b"%d:%b," % (len(request), request))
        return self.read_netstring()

    def greeting(self) -> list[str]:
        """Read the greeting of an authentication server and answer it."""
        lines: list[str] = []
        while not lines or lines[-1] != "DONE":
            lines.append(self.read_line())
        self.send(b"VERSION\t1\t0\nCPID\t4711\n")
        return lines

    def close(self) -> None:
        """Close it."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self
