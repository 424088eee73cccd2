"""Base class for objects that a `with` block closes, and for small TCP servers."""

from __future__ import annotations

import socketserver
import threading
from typing import Self

from tests.testbed.ports import LOOPBACK


class Closing:
    """An object that `close()` or the end of a `with` block ends."""

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


class StreamServer(Closing):
    """A TCP server with one thread per connection; it starts on construction."""

    def __init__(
        self, handler: type[socketserver.StreamRequestHandler], host: str = LOOPBACK
    ) -> None:
        self._server = _Server((host, 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def postfix(self) -> str:
        """Its address in the form of main.cf."""
        host, port = self._server.server_address[:2]
        return f"inet:{host!s}:{port}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
