"""Prometheus metrics and the probes of a daemon, over HTTP."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gatepost.metrics.families import Gauge, registry
from gatepost.version import __version__

BUILD = Gauge("gatepost_build_info", "Always 1, with the version", ["version"], across="max")
BUILD.labels(__version__).set(1)


MAX_CONNECTIONS = 64
"""Maximum concurrent connections: scrapers and probes are two or three."""


_HOLD = 0.1
"""Seconds until a failed accept is retried, for example without free descriptors."""


class HandshakeCheck(Protocol):
    """A handshake of the daemon with its own socket."""

    def __call__(self) -> tuple[bool, str]:
        """Return whether it answers, and one line; never raises, and takes a bounded time."""

    def leave(self) -> None:
        """Close in a forked process what belongs to its parent."""


class Probes:
    """The checks behind `/readyz` and `/healthz`, and the handshake behind `/handshake`.

    A check returns None if all is well, or one line about the problem. `/healthz` fails if the
    process should be restarted, `/readyz` if no mail should be sent to it.
    """

    def __init__(self) -> None:
        self._ready: dict[str, Callable[[], str | None]] = {}
        self._healthy: dict[str, Callable[[], str | None]] = {}
        self._remarks: dict[str, Callable[[], str | None]] = {}
        self._handshake: HandshakeCheck | None = None

    def copy(self) -> Probes:
        """Return the checks that are there now, to which others can be added."""
        made = Probes()
        made._ready, made._healthy = dict(self._ready), dict(self._healthy)
        made._remarks = dict(self._remarks)
        return made

    def ready_when(self, name: str, check: Callable[[], str | None]) -> None:
        """Add a check to `/readyz`."""
        self._ready[name] = check

    def healthy_when(self, name: str, check: Callable[[], str | None]) -> None:
        """Add a check to `/healthz` and `/readyz`."""
        self._healthy[name] = check

    def shakes_hands(self, handshake: HandshakeCheck) -> None:
        """Serve `/handshake` with the result of `handshake`."""
        self._handshake = handshake

    @property
    def handshake(self) -> HandshakeCheck | None:
        """Return the handshake behind `/handshake`; None if there is none."""
        return self._handshake

    def remark(self, name: str, tell: Callable[[], str | None]) -> None:
        """Add a line to `/readyz` that makes nothing fail."""
        self._remarks[name] = tell

    def remarks(self, path: str) -> list[str]:
        """Return one line for each remark to `path`."""
        remarks = self._remarks.items() if path == "/readyz" else ()
        return [f"{name}: {told}" for name, tell in remarks if (told := tell())]

    def problems(self, path: str) -> list[str]:
        """Return one line for each check of `path` that fails."""
        checks = dict(self._healthy)
        if path == "/readyz":
            checks.update(self._ready)
        return [f"{name}: {told}" for name, check in checks.items() if (told := check())]


class _Handler(http.server.BaseHTTPRequestHandler):
    server_version = "gatepost"
    sys_version = ""
    timeout = 10
    probes: Probes
    lock: threading.Lock

    def do_GET(self) -> None:  # the name http.server calls
        path = self.path.partition("?")[0]
        if path == "/metrics":
            with self.lock:
                body = generate_latest(registry())
            self._send(HTTPStatus.OK, body, CONTENT_TYPE_LATEST)
        elif path in ("/healthz", "/readyz"):
            with self.lock:
                problems = self.probes.problems(path)
                lines = [*(problems or ["ok"]), *self.probes.remarks(path)]
            status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
            text = "\n".join(lines) + "\n"
            self._send(status, text.encode(), "text/plain; charset=utf-8")
        elif path == "/handshake" and self.probes.handshake is not None:
            # without the lock, which a fork and other requests would wait for
            answers, said = self.probes.handshake()
            status = HTTPStatus.OK if answers else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, f"{said}\n".encode(), "text/plain; charset=utf-8")
        else:
            known = "/metrics, /healthz, /readyz"
            if self.probes.handshake is not None:
                known += ", /handshake"
            self._send(HTTPStatus.NOT_FOUND, f"see {known}\n".encode(), "text/plain")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Do not log scrapes."""


class _Server(http.server.ThreadingHTTPServer):
    """One thread per connection, at most `MAX_CONNECTIONS`: a new one replaces the oldest, so that
    idle connections cannot block a probe."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, handler: type[_Handler]) -> None:
        self._open: dict[socket.socket, None] = {}
        self._open_lock = threading.Lock()
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()  # one that was not bound
        self.socket = listening

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; after a failure, wait a moment to avoid a busy loop."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_HOLD)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in its own thread."""
        with self._open_lock:
            oldest = next(iter(self._open)) if len(self._open) >= MAX_CONNECTIONS else None
            if oldest is not None:
                del self._open[oldest]
            self._open[request] = None
        if oldest is not None:
            with contextlib.suppress(OSError):  # it may have just ended
                oldest.shutdown(socket.SHUT_RDWR)  # its thread sees the end
        super().process_request(request, client_address)

    def leave(self) -> None:
        """Close the port and all connections in a forked process."""
        self.socket.close()
        for request in list(self._open):
            with contextlib.suppress(OSError):  # it has just ended
                os.close(request.detach())  # close() would wait for the files made of it

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._open_lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the error of a scraper that closes its connection."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class MetricsServer:
    """Serves `/metrics`, `/healthz` and `/readyz` from a thread, on a listening TCP socket.

    `lock` is held while metrics and probes are read; a forking process holds it during the fork.
    """

    def __init__(self, listening: socket.socket, probes: Probes) -> None:
        self.lock = threading.Lock()
        self._probes = probes
        handler = type("Handler", (_Handler,), {"probes": probes, "lock": self.lock})
        self._server = _Server(listening, handler)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start answering. A forking process starts it after its forks."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def leave(self) -> None:
        """Close the port and connections in a forked process: they belong to the parent, and the
        port to the parent's successor if the parent dies before its workers."""
        self._server.leave()
        if self._probes.handshake is not None:
            self._probes.handshake.leave()

    def close(self) -> None:
        """Stop answering."""
        if self._thread:
            self._server.shutdown()
        self._server.server_close()
