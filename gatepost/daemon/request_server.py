"""A server that answers requests of a byte protocol: connections, order, bounds and drain.

Requests of one connection are answered one at a time, in their order. While one is under way, or
the other side does not read, nothing more is read from it: a flood waits in the kernel. A request
needs no task when its answer is there at once, and never a timer of its own: `RequestServer` looks
at all connections now and then and keeps the bounds of time.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from heapq import nsmallest
from typing import Any, Generic, TypeVar

from structlog.typing import FilteringBoundLogger

from gatepost.conversation import Conversation
from gatepost.daemon.acceptor import Acceptor, RareWarnings
from gatepost.daemon.request_bounds import ConnectionBounds, ServerCounts
from gatepost.daemon.request_connection import READ_SIZE, RequestConnection

E = TypeVar("E")
R = TypeVar("R")

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel bounds it by net.core.somaxconn."""
LOOK_INTERVAL = 0.1
"""Seconds between two looks at the bounds of time."""
IDLE_LOOKS = 10
"""Every so many looks the silent connections are looked at too."""


class RequestServer(Generic[E, R]):
    """Serves one protocol on any number of sockets.

    `conversation()` makes the state of a new connection. `answer(event)` returns the answer, or
    something to await that does; an exception of it becomes a temporary error and is logged.
    Connections that are silent, or get no answer, are ended with a reset: a client that keeps one
    notices with its next write and connects again. After an orderly end Postfix's SASL client would
    write, wait for an answer, and tell its own client 454.
    """

    def __init__(
        self,
        conversation: Callable[[], Conversation[E, R]],
        answer: Callable[[E], R | Awaitable[R]],
        bounds: Callable[[], ConnectionBounds],
        counts: ServerCounts,
        log: FilteringBoundLogger,
    ) -> None:
        self._conversation = conversation
        self._answer = answer
        self.bounds = bounds
        self.counts = counts
        self.buffer = memoryview(bytearray(READ_SIZE))
        """Where every connection reads to: the octets are taken out at once."""
        self.connections: set[RequestConnection[E, R]] = set()
        self.busy: set[RequestConnection[E, R]] = set()
        """Connections that were busy when they were looked at last, or have become so since."""
        self.draining = False
        self.log = log
        self._acceptors: list[Acceptor] = []
        self._arriving: set[asyncio.Task[Any]] = set()
        self._looker: asyncio.Task[None] | None = None
        self._warnings = RareWarnings(log, time.monotonic)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections from sockets that listen."""
        loop = asyncio.get_running_loop()
        for listening in sockets:
            listening.listen(BACKLOG)
            self._acceptors.append(Acceptor(listening, self._take, log=self.log))
        self._looker = loop.create_task(self._look_forever())

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks that run as long as the server does and keep its bounds of time."""
        return () if self._looker is None else (self._looker,)

    async def drain(self, grace: float) -> None:
        """Take no more connections, answer what is under way, close; at most `grace` seconds."""
        self.draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in list(self.connections):
            connection.close_when_done()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while self.connections and loop.time() < end:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        if self._looker is not None:
            self._looker.cancel()

    # Called by connections

    def conversation(self) -> Conversation[E, R]:
        """Return the state of a new connection."""
        return self._conversation()

    def answer(self, event: E) -> R | Awaitable[R]:
        """Return the answer to a request, or something that will."""
        return self._answer(event)

    def has_room(self) -> bool:
        """Return whether one more connection may stay.

        At the bound some that are silent make room; their clients connect again if they have to.
        """
        bound = self.bounds().max_connections
        if len(self.connections) < bound:
            return True
        now = asyncio.get_running_loop().time()
        spare = (connection for connection in self.connections if connection.is_spare(now))
        for connection in nsmallest(max(1, bound // 100), spare, key=lambda one: one.heard):
            self.counts.made_room.inc()
            connection.reset()
            self.forget(connection)
        return len(self.connections) < bound

    def welcome(self, connection: RequestConnection[E, R]) -> bool:
        """Count a new connection; False when it cannot stay."""
        if self.draining:
            return False
        if not self.has_room():
            self.counts.refused.inc()
            return False
        self.connections.add(connection)
        self.counts.connections.add(1)
        return True

    def forget(self, connection: RequestConnection[E, R]) -> None:
        """Forget a connection, which is closed or about to be."""
        self.busy.discard(connection)
        if connection in self.connections:
            self.connections.remove(connection)
            self.counts.connections.add(-1)

    def complain(self, what: str, peer: str) -> None:
        """Count and log octets that are no request."""
        self.counts.malformed.inc()
        self._warnings.warn("not a request", what=what, peer=peer)

    def note_failure(self, event: E, error: Exception | None) -> None:
        """Count and log a request that could not be answered; `error` is None when time ran out."""
        self.counts.failed.inc()
        kind = type(event).__name__
        if error is None:
            self._warnings.warn("no answer in time", request=kind)
        else:
            self._warnings.warn("a request could not be answered", request=kind, exc_info=error)

    # The rest

    def _take(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] = loop.create_task(
            loop.connect_accepted_socket(lambda: RequestConnection(self), accepted)
        )
        self._arriving.add(task)
        task.add_done_callback(lambda task: self._arrived(task, accepted))

    def _arrived(self, task: asyncio.Task[Any], accepted: socket.socket) -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("a connection could not be followed", error=str(error))
            accepted.close()

    async def _look_forever(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            looks += 1
            now = asyncio.get_running_loop().time()
            bounds = self.bounds()
            with_idle = looks % IDLE_LOOKS == 0
            for connection in list(self.connections if with_idle else self.busy):
                if not connection.is_busy:
                    self.busy.discard(connection)
                self._look_at(connection, now, bounds)

    def _look_at(
        self, connection: RequestConnection[E, R], now: float, bounds: ConnectionBounds
    ) -> None:
        """Look at one connection: a mistake of ours costs this one, and not the bounds of all."""
        try:
            connection.look(now, bounds)
        except Exception:
            self.log.exception("a connection could not be looked at, it is closed")
            connection.abort()
