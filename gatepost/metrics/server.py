"""Prometheus metrics and the probes of a daemon, over HTTP."""

from __future__ import annotations

import contextlib
import http.server
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gatepost.metrics.families import Gauge, registry
from gatepost.version import __version__

BUILD = Gauge("gatepost_build_info", "Always 1, with the version", ["version"], across="max")
BUILD.labels(__version__).set(1)


MAX_CONNECTIONS = 64
"""Connections that are served at a time: scrapers and probes, some two or three."""


_HOLD = 0.1
"""Seconds until a connection is tried again that could not be taken, as for want of a file."""


class Probes:
    """What `/readyz` and `/healthz` ask.

    A check returns None when all is well, or one line about what is not. `/healthz` says whether
    the process should be restarted, `/readyz` whether mail should be sent to it.
    """

    def __init__(self) -> None:
        self._ready: dict[str, Callable[[], str | None]] = {}
        self._healthy: dict[str, Callable[[], str | None]] = {}

    def ready_when(self, name: str, check: Callable[[], str | None]) -> None:
        """Add a check to `/readyz`."""
        self._ready[name] = check

    def healthy_when(self, name: str, check: Callable[[], str | None]) -> None:
        """Add a check to `/healthz` and `/readyz`."""
        self._healthy[name] = check

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
            status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
            text = "\n".join(problems or ["ok"]) + "\n"
            self._send(status, text.encode(), "text/plain; charset=utf-8")
        else:
            self._send(HTTPStatus.NOT_FOUND, b"see /metrics, /healthz, /readyz\n", "text/plain")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Scrapes are not worth a log line."""


class _Server(http.server.ThreadingHTTPServer):
    """A thread a connection, of which there are `MAX_CONNECTIONS`: a new one takes the place of the
    oldest, so that whoever opens many and says little keeps no probe waiting."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, handler: type[_Handler]) -> None:
        self._open: dict[socket.socket, None] = {}
        self._open_lock = threading.Lock()
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()  # one that was not bound
        self.socket = listening

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; what cannot be taken waits a moment, so that this does not spin."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_HOLD)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        with self._open_lock:
            oldest = next(iter(self._open)) if len(self._open) >= MAX_CONNECTIONS else None
            if oldest is not None:
                del self._open[oldest]
            self._open[request] = None
        if oldest is not None:
            with contextlib.suppress(OSError):  # it has just ended by itself
                oldest.shutdown(socket.SHUT_RDWR)  # its thread sees the end
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Let go of a connection."""
        with self._open_lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a scraper that hangs up is none of our business."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class MetricsServer:
    """Serves `/metrics`, `/healthz` and `/readyz` from a thread, on a TCP socket that listens.

    `lock` is held while metrics and probes are read; a process that forks takes it to fork.
    """

    def __init__(self, listening: socket.socket, probes: Probes) -> None:
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"probes": probes, "lock": self.lock})
        self._server = _Server(listening, handler)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer from now on. A process that forks starts after its forks."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def leave(self) -> None:
        """Let go of the port in a process that was forked: it is the parent's, and its successor's
        when the parent dies before its workers do."""
        self._server.socket.close()

    def close(self) -> None:
        """Stop answering."""
        if self._thread:
            self._server.shutdown()
        self._server.server_close()
