"""Policy server on the event loop: its connections, their limits, and drain."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from heapq import nsmallest

from gatepost.daemon import Acceptor
from gatepost.journal.sender import JournalSender
from gatepost.logs import get_logger
from gatepost.metrics import Count
from policyd.bounds import Bounds
from policyd.connection import PolicyConnection
from policyd.counts import CONNECTIONS, HELD, MADE_ROOM, REQUESTS, SECONDS
from policyd.decisions import DecisionLog
from policyd.engine import Decision, Engine
from policyd.journal import journal_record
from policyd.request import Request, State

BACKLOG = 4096
"""Connections that may wait to be accepted; net.core.somaxconn limits it."""
LOOK_INTERVAL = 0.1
"""Seconds between two checks of the time limits."""
IDLE_LOOKS = 10
"""The silent connections are checked every so many rounds."""

_STATES = frozenset(State)

log = get_logger("policyd")


class PolicyServer:
    """Answers each request with the `engine()` in use when it begins."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        bounds: Callable[[], Bounds],
        decisions: DecisionLog,
        journal: JournalSender | None = None,
    ) -> None:
        self._engine = engine
        self._decisions = decisions
        self._journal = journal if journal is not None and journal.is_wanted else None
        self.bounds = bounds
        self.connections: set[PolicyConnection] = set()
        self.busy: set[PolicyConnection] = set()
        self.draining = False
        self.held = 0
        """Memory in bytes that all requests use now."""
        self._acceptors: list[Acceptor] = []
        self._arriving: set[asyncio.Task[object]] = set()
        self._looker: asyncio.Task[None] | None = None
        self._counters: dict[tuple[str, str], Count] = {}

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        for listening in sockets:
            listening.listen(BACKLOG)
            self._acceptors.append(Acceptor(listening, self._take, log=log))
        self._looker = asyncio.get_running_loop().create_task(self._look_forever())

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks that run as long as the server and enforce its time limits."""
        return () if self._looker is None else (self._looker,)

    async def drain(self, grace: float) -> None:
        """Accept no more connections, answer the requests in progress, close; takes at most `grace`
        seconds."""
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

    def _take(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        accepted.setblocking(False)
        task: asyncio.Task[object] = loop.create_task(
            loop.connect_accepted_socket(lambda: PolicyConnection(self), accepted)
        )
        self._arriving.add(task)
        task.add_done_callback(lambda task: self._arrived(task, accepted))

    def _arrived(self, task: asyncio.Task[object], accepted: socket.socket) -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection could not be drained", error=str(error))
            accepted.close()

    def has_room(self) -> bool:
        """Return whether there is room for one more connection.

        At the limit, some silent connections are closed to make room; Postfix reconnects if it
        needs to.
        """
        bound = self.bounds().max_connections
        if len(self.connections) < bound:
            return True
        now = asyncio.get_running_loop().time()
        spare = (connection for connection in self.connections if connection.is_spare(now))
        for connection in nsmallest(max(1, bound // 100), spare, key=lambda one: one.heard):
            MADE_ROOM.inc()
            connection.abort()
            self.forget(connection)
        return len(self.connections) < bound

    def has_memory(self, size: int) -> bool:
        """Return whether a request may use `size` more bytes; a single request always may."""
        return not self.held or self.held + size <= self.bounds().memory

    def forget(self, connection: PolicyConnection) -> None:
        """Forget a connection that is closed or about to be closed."""
        if connection in self.connections:
            self.connections.remove(connection)
            CONNECTIONS.add(-1)

    def engine(self) -> Engine:
        """Return the checks in use now."""
        return self._engine()

    def note(self, request: Request, decision: Decision, seconds: float) -> None:
        """Count and log one decision."""
        action = decision.action
        # the client chooses the state: an unknown one must not become a label
        state = request.state if request.state in _STATES else "other"
        key = (state, action.verb)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = REQUESTS.labels(*key)
        counter.inc()
        SECONDS.observe(seconds)
        self._decisions.write(request, decision, seconds)
        # an answer to a probe is no mail
        if self._journal is not None and not request.is_probe:
            self._journal.add(journal_record(request, decision, time.time()))

    async def _look_forever(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            looks += 1
            HELD.set(self.held)
            now = asyncio.get_running_loop().time()
            bounds = self.bounds()
            for connection in list(self.busy):
                self._look_at(connection, connection.look_busy, now, bounds)
            if looks % IDLE_LOOKS == 0:
                for connection in list(self.connections):
                    self._look_at(connection, connection.look_silent, now, bounds)

    def _look_at(
        self,
        connection: PolicyConnection,
        look: Callable[[float, Bounds], None],
        now: float,
        bounds: Bounds,
    ) -> None:
        """Check one connection; a bug affects this one only, not the limits of all."""
        try:
            look(now, bounds)
        except Exception:
            log.exception("check of a connection failed, connection closed")
            connection.abort()
