"""The policy server on the event loop: connections, order of answers, limits, drain.

A connection has no task while it waits. When a request arrives, one task answers the requests in
the buffer, one after the other, and ends. `PolicyServer.look` checks the busy and the silent
connections and enforces the time limits, so that no request needs its own timer.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from heapq import nsmallest
from time import perf_counter
from typing import cast

from gatepost.daemon import Acceptor
from gatepost.journal.sender import JournalSender
from gatepost.logs import get_logger
from gatepost.metrics import Count
from policyd.action import DUNNO
from policyd.bounds import BUSY, COST, COST_OF_PARTS, READ_AHEAD, SMALL, Bounds
from policyd.counts import (
    CONNECTIONS,
    HELD,
    MADE_ROOM,
    MALFORMED,
    OUT_OF_TIME,
    REFUSED,
    REQUESTS,
    SECONDS,
)
from policyd.decisions import DecisionLog
from policyd.engine import Decision, Engine
from policyd.journal import journal_record
from policyd.protocol import Malformed, PolicyProtocolError, RequestReader
from policyd.request import Request, State

BACKLOG = 4096
"""Connections that may wait to be accepted; net.core.somaxconn limits it."""
HALF_REQUEST = 1.0
"""Seconds after which an incomplete request counts as silence: Postfix writes a request at once."""
LOOK_INTERVAL = 0.1
"""Seconds between two checks of the time limits."""
IDLE_LOOKS = 10
"""The silent connections are checked every so many rounds."""

_STATES = frozenset(State)
_DUNNO = DUNNO.wire

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


class PolicyConnection(asyncio.Protocol):
    """One connection of Postfix."""

    def __init__(self, server: PolicyServer) -> None:
        self._server = server
        self._reader = RequestReader()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.heard = self._loop.time()
        """When the last byte arrived."""
        self._partial_since = 0.0  # since when an incomplete request waits for its rest; 0: none
        self._begun = 0.0  # when the current request began; 0: none
        self._expired = False
        self._closing = False
        self._reading_paused = False
        self._counted = 0  # bytes of the buffer that the server has counted
        self._writable: asyncio.Future[None] | None = None

    def is_spare(self, now: float) -> bool:
        """Return whether no request is in progress, or one that Postfix would have completed by
        now."""
        return self._task is None and self._partial_since < now - HALF_REQUEST

    # Callbacks of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or close it if there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        server = self._server
        if server.draining or not server.has_room():
            if not server.draining:
                REFUSED.inc()
            self._transport.abort()
            return
        server.connections.add(self)
        CONNECTIONS.add(1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's
        """Forget the connection: nobody is left to answer."""
        server = self._server
        server.forget(self)
        server.busy.discard(self)
        self._count(0)
        if self._task is not None:
            self._task.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Answer the complete requests."""
        self.heard = self._loop.time()
        reader = self._reader
        reader.receive_data(data)
        if self._task is None:
            event = self._next_event()
            if event is not None:
                self._task = self._loop.create_task(self._answer(event))
                self._server.busy.add(self)
        if (buffered := reader.buffered) != self._counted:
            self._count(buffered)
        if self._task is None:
            return
        if reader.buffered > READ_AHEAD and not self._reading_paused and self._transport:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer the remaining requests of a client that sends no more, then close."""
        self._closing = True
        if self._task is not None:
            return True
        if self._reader.mid_request:
            self._complain("incomplete request")
        return False

    def pause_writing(self) -> None:
        """Pause: the client does not read its answers."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Resume: the client reads again."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # Called by the server

    def look_busy(self, now: float, bounds: Bounds) -> None:
        """Enforce the limits of a connection with a request in progress."""
        if self._begun:
            if now - self._begun > bounds.budget and not self._expired and self._task is not None:
                self._expired = True
                self._task.cancel()
        elif self._writable is not None and now - self.heard > bounds.request_timeout:
            self._complain("answers are not read")
            self.abort()

    def look_silent(self, now: float, bounds: Bounds) -> None:
        """Enforce the limits of a connection that waits for the client."""
        if self._task is not None or self._transport is None:
            return
        if self._partial_since and now - self._partial_since > bounds.request_timeout:
            self._complain("incomplete request, then silence")
            self._transport.close()
        elif now - self.heard > bounds.idle_timeout:
            self._transport.close()

    def close_when_done(self) -> None:
        """Answer the request in progress, then close."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # Processing of a request

    def _count(self, buffered: int) -> None:
        """Have the server count the bytes in the buffer, and close if they are too many."""
        server = self._server
        more = buffered - self._counted
        if more > 0 and buffered > SMALL and not server.has_memory(more):
            self._complain("no memory for the rest of a request")
            self.abort()
            buffered = 0
        server.held += buffered - self._counted
        self._counted = buffered

    def _next_event(self) -> Request | Malformed | None:
        """Return the next event; closes the connection on a protocol error."""
        reader = self._reader
        try:
            event = reader.next_event()
        except PolicyProtocolError as error:
            self._complain(str(error))
            self.abort()
            return None
        if event is None and reader.mid_request:
            if not self._partial_since:
                self._partial_since = self.heard
        else:
            self._partial_since = 0.0
        return event

    async def _answer(self, event: Request | Malformed | None) -> None:
        transport = self._transport
        assert transport is not None  # noqa: S101 # bytes came over it
        try:
            while event is not None:
                if isinstance(event, Malformed):
                    self._complain(event.reason)
                    transport.write(_DUNNO)
                else:
                    await self._answer_request(transport, event)
                if self._closing and not self._reader.buffered:
                    break
                if self._server.draining:
                    break
                if self._writable is not None:
                    await self._writable
                event = self._next_event()
        except asyncio.CancelledError:
            if not transport.is_closing():
                raise
        except Exception:  # only a bug leads here
            log.exception("connection broke")
            transport.abort()
        finally:
            self._done(transport)

    async def _answer_request(self, transport: asyncio.Transport, request: Request) -> None:
        server = self._server
        engine = server.engine()
        begun = perf_counter()
        reader = self._reader
        if (buffered := reader.buffered) != self._counted:
            self._count(buffered)
        size = COST_OF_PARTS + COST * reader.size
        if not server.has_memory(size):
            decision = Decision.refused(BUSY)
            transport.write(decision.action.wire)
            server.note(request, decision, perf_counter() - begun)
            return
        server.held += size
        self._begun = self._loop.time()
        try:
            decision = await engine.decide(request)
        except asyncio.CancelledError:
            if not self._expired:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            OUT_OF_TIME.inc()
            decision = engine.out_of_time(request)
        finally:
            server.held -= size
            self._begun = 0.0
            self._expired = False
        transport.write(decision.action.wire)
        server.note(request, decision, perf_counter() - begun)

    def _done(self, transport: asyncio.Transport) -> None:
        self._task = None
        self._server.busy.discard(self)
        if self._closing or self._server.draining:
            transport.close()
        elif self._reading_paused and not transport.is_closing():
            self._reading_paused = False
            transport.resume_reading()

    def _complain(self, what: str) -> None:
        MALFORMED.inc()
        peer = self._transport.get_extra_info("peername") if self._transport else None
        log.warning("not a request", what=what, peer=str(peer or "unix socket"))
