"""HTTP server of the daemon: uvicorn's protocol in its event loop, with bounds.

uvicorn parses (with h11) and calls the application. This module adds bounds on connections, on the
size of a request's head, and on the times for a request to arrive and for an answer to be read. It
also adds errors as problem+json, and a drain. uvicorn's own server, which handles signals and
writes logs, is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from accounts.http.problems import MEDIA_TYPE, problem_response
from gatepost.logs import get_logger
from gatepost.metrics import Counter, Gauge

CONNECTIONS: Final = Gauge(
    "gatepost_accounts_http_connections",
    "Open HTTP connections by server: api, dovecot, snapshots",
    ["server"],
    across="sum",
)
REFUSED: Final = Counter(
    "gatepost_accounts_http_refused_total",
    "Closed HTTP connections by server and reason",
    ["server", "reason"],
)
LINGER: Final = 5.0
"""Seconds for a client to read the rest of an answer when its connection is closed."""
PIECE: Final = 4096
"""Octets that the parser gets at a time."""
BACKLOG: Final = 512
"""Connections that wait to be accepted."""

_CREDENTIALS: Final = struct.Struct("=iII")
"""struct ucred of Linux (unix(7)): pid, uid, gid."""

log = get_logger("accounts")


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """Bounds of a server. Times are in seconds.

    A request must arrive completely within `request_timeout`, and the connection of a client that
    does not read its answer for that time is closed. A connection without a request is closed after
    `idle_timeout`. `max_head` bounds the octets of a request's line and fields. Beyond
    `max_connections`, a new connection replaces the one that has been idle for longest.
    """

    request_timeout: float = 15.0
    idle_timeout: float = 60.0
    max_head: int = 16_384
    max_connections: int = 1000


class HttpServer:
    """A server of an ASGI application, with a name for the metrics. Use it in one event loop.

    `names_users`: the client of a request on a unix socket is ``("uid", NUMBER)``, the user at the
    other end.
    """

    def __init__(
        self,
        app: ASGIApp,
        bounds: HttpBounds = HttpBounds(),
        *,
        name: str = "api",
        names_users: bool = False,
    ) -> None:
        self.bounds = bounds
        self.name = name
        self.names_users = names_users
        self.idle: OrderedDict[_Connection, None] = OrderedDict()
        """Connections without a complete request, the oldest first."""
        self.state = ServerState()
        self._config = Config(
            _framed(app),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            interface="asgi3",
            timeout_keep_alive=int(bounds.idle_timeout),
            h11_max_incomplete_event_size=bounds.max_head,
        )
        self._config.load()
        self._servers: list[asyncio.Server] = []
        self._ticking: asyncio.Task[None] | None = None
        for name in ("uvicorn.error", "uvicorn.access"):
            # it repeats input from clients; our own log has what is needed
            logging.getLogger(name).disabled = True

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        loop = asyncio.get_running_loop()
        self._tick()
        self._ticking = loop.create_task(self._keep_ticking())
        for one in sockets:
            is_unix = one.family == socket.AF_UNIX
            create: Callable[..., Any] = loop.create_unix_server if is_unix else loop.create_server
            self._servers.append(await create(self._connection, sock=one, backlog=BACKLOG))

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the task that the server cannot run without."""
        return () if self._ticking is None else (self._ticking,)

    async def drain(self, grace: float) -> None:
        """Accept nothing new and finish the requests in progress, within `grace` seconds."""
        for server in self._servers:
            server.close()
        connections: set[Any] = self.state.connections
        for connection in list(connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while connections or self.state.tasks:
                    await asyncio.sleep(0.02)
        for connection in list(connections):
            connection.transport.abort()
        for task in list(self.state.tasks):
            task.cancel()
        if self._ticking is not None:
            self._ticking.cancel()
        # aborted connections and cancelled tasks end in the next turns of the loop
        await asyncio.gather(*self.state.tasks, *self.tasks, return_exceptions=True)
        self._ticking = None

    def _connection(self) -> _Connection:
        return _Connection(self._config, self.state, self)

    def _tick(self) -> None:
        # RFC 9110 section 6.6.1
        date = formatdate(usegmt=True).encode()
        self.state.default_headers = [(b"date", date)]

    async def _keep_ticking(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._tick()


def _framed(app: ASGIApp) -> ASGIApp:
    """Return an application that refuses a request that says its length in two ways.

    A proxy may have read another length, and taken the next request for a body.
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]}
        if not names >= {b"content-length", b"transfer-encoding"}:
            await app(scope, receive, send)
            return
        # RFC 9112 section 6.1: the connection ends with this answer
        refusal = problem_response(
            HTTPStatus.BAD_REQUEST,
            "A request has either Content-Length or Transfer-Encoding.",
            headers={"Connection": "close"},
        )
        await refusal(scope, receive, send)

    return guarded


async def serve(
    app: ASGIApp, sockets: Sequence[socket.socket], bounds: HttpBounds = HttpBounds()
) -> HttpServer:
    """Serve an application on listening sockets, until the returned server is drained."""
    server = HttpServer(app, bounds)
    await server.start(sockets)
    return server


class _Connection(H11Protocol):
    """Connection with its bounds."""

    def __init__(self, config: Config, state: ServerState, server: HttpServer) -> None:
        super().__init__(config, state, {})
        self._server = server
        self._deadline: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        if self.client is None and transport.get_extra_info("socket").family != socket.AF_UNIX:
            # it is closed already, but has unread input: without an address it would count as one
            # on a unix socket, which needs no token and has no network
            transport.abort()
            return
        if self._server.names_users and (uid := _uid_of(transport)) is not None:
            self.client = ("uid", uid)
        CONNECTIONS.labels(self._server.name).set(len(self.connections))
        if len(self.connections) > self._server.bounds.max_connections:
            if not self._server.idle:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.")
                return
            oldest, _ = self._server.idle.popitem(last=False)
            REFUSED.labels(self._server.name, "made room").inc()
            oldest.transport.abort()
        self._server.idle[self] = None
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._server.idle.pop(self, None)
        self._clear_deadline()
        self._unset_keepalive_if_required()
        for timer in (self._linger, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        CONNECTIONS.labels(self._server.name).set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Take octets, and watch that a request that has begun arrives in time."""
        # in pieces: h11 checks its bound only for the head of an incomplete request
        for start in range(0, len(data), PIECE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + PIECE])
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not forever."""
        super().pause_writing()
        if self._stuck is None:
            bounds = self._server.bounds
            self._stuck = self.loop.call_later(bounds.request_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, as the client has read."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close_soon()
        else:
            self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # the name is uvicorn's
        """Refuse malformed HTTP, with the status of the parser."""
        error = sys.exc_info()[1]
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        status = HTTPStatus(hint)
        if status is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            most = self._server.bounds.max_head
            self._refuse(status, f"The head of a request has at most {most} octets.")
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "This is not an HTTP/1.1 request.")

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._close_soon()

    def shutdown(self) -> None:
        """Close the connection when its request is answered; at the end of the daemon."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.DONE, h11.MUST_CLOSE):
            self.transport.close()
            self._close_soon()
        elif (cycle := self._current()) is not None:
            cycle.keep_alive = False

    def _current(self) -> RequestResponseCycle | None:
        """Return the request in progress or the last one; None before the first."""
        return self.cycle

    def _watch(self) -> None:
        """Set or clear the deadline, depending on the octets that have arrived."""
        if self.transport.is_closing():
            return
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
            # a request is complete and is being answered
            self._server.idle.pop(self, None)
            self._clear_deadline()
        elif self.conn.their_state is h11.SEND_BODY:
            self._server.idle.pop(self, None)
            self._set_deadline()
        else:
            self._server.idle.setdefault(self, None)
            if self.conn.trailing_data[0]:
                self._set_deadline()
            elif self.timeout_keep_alive_task is not None:
                self._clear_deadline()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(
                self._server.bounds.request_timeout, self._too_late
            )

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Send an error, unless an answer has begun, and close the connection."""
        REFUSED.labels(self._server.name, status.phrase.lower()).inc()
        begun = False
        if (cycle := self._current()) is not None and not cycle.response_complete:
            begun = cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
        if not begun:
            body = {"type": "about:blank", "title": status.phrase, "status": status.value}
            octets = json.dumps(body | {"detail": detail}).encode()
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\n"
                f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(octets)}\r\n"
                "cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + octets)
        self.transport.close()
        self._close_soon()

    def _close_soon(self) -> None:
        """End a connection that is being closed even if the client does not read."""
        if self._linger is None:
            self._linger = self.loop.call_later(LINGER, self.transport.abort)


def _uid_of(transport: asyncio.Transport) -> int | None:
    """Return the uid at the other end of a unix socket; None for other sockets."""
    ours = transport.get_extra_info("socket")
    if ours is None or ours.family != socket.AF_UNIX:
        return None
    # uvloop does not expose a real socket
    with socket.socket(fileno=os.dup(ours.fileno())) as asked:
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return int(uid)
