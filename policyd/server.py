"""The policy server on the event loop: connections, order, bounds, drain.

A connection has no task while it waits. When a request is there, one task answers what is in the
buffer, one request after the other, and ends. `PolicyServer.look` walks over the connections that
are busy or silent and keeps the bounds of time, so that no request needs a timer of its own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from heapq import nsmallest
from time import perf_counter
from typing import cast

from gatepost.daemon import Acceptor
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
from policyd.protocol import Malformed, PolicyConnection, ProtocolError
from policyd.request import Request, State

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel bounds it by net.core.somaxconn."""
HALF_REQUEST = 1.0
"""Seconds after which half a request is silence: Postfix writes one at once."""
LOOK_INTERVAL = 0.1
"""Seconds between two looks at the bounds of time."""
IDLE_LOOKS = 10
"""Every so many looks the silent connections are looked at too."""

_STATES = frozenset(State)
_DUNNO = DUNNO.wire

log = get_logger("policyd")


class PolicyServer:
    """Answers requests with whatever `engine()` is at their beginning."""

    def __init__(
        self, engine: Callable[[], Engine], bounds: Callable[[], Bounds], decisions: DecisionLog
    ) -> None:
        self._engine = engine
        self._decisions = decisions
        self.bounds = bounds
        self.connections: set[Connection] = set()
        self.busy: set[Connection] = set()
        self.draining = False
        self.held = 0
        """Bytes that all requests take now."""
        self._acceptors: list[Acceptor] = []
        self._arriving: set[asyncio.Task[object]] = set()
        self._looker: asyncio.Task[None] | None = None
        self._counters: dict[tuple[str, str], Count] = {}

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections from sockets that listen."""
        for listening in sockets:
            listening.listen(BACKLOG)
            self._acceptors.append(Acceptor(listening, self._take, log=log))
        self._looker = asyncio.get_running_loop().create_task(self._look_forever())

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

    def _take(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        accepted.setblocking(False)
        task: asyncio.Task[object] = loop.create_task(
            loop.connect_accepted_socket(lambda: Connection(self), accepted)
        )
        self._arriving.add(task)
        task.add_done_callback(lambda task: self._arrived(task, accepted))

    def _arrived(self, task: asyncio.Task[object], accepted: socket.socket) -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection could not be followed", error=str(error))
            accepted.close()

    def has_room(self) -> bool:
        """Return whether one more connection may stay.

        At the bound some silent ones make room at a time; Postfix connects again if it has to.
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
        """Return whether a request may take so many bytes more; one that is alone always may."""
        return not self.held or self.held + size <= self.bounds().memory

    def forget(self, connection: Connection) -> None:
        """Forget a connection, which is closed or about to be."""
        if connection in self.connections:
            self.connections.remove(connection)
            CONNECTIONS.add(-1)

    def engine(self) -> Engine:
        """Return the checks in use now."""
        return self._engine()

    def note(self, request: Request, decision: Decision, seconds: float) -> None:
        """Count and log one decision."""
        action = decision.action
        # the state is the other side's word: what is not known must not become a label
        state = request.state if request.state in _STATES else "other"
        key = (state, action.verb)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = REQUESTS.labels(*key)
        counter.inc()
        SECONDS.observe(seconds)
        self._decisions.write(request, decision, seconds)

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
        connection: Connection,
        look: Callable[[float, Bounds], None],
        now: float,
        bounds: Bounds,
    ) -> None:
        """Look at one connection: a mistake of ours costs this one, and not the bounds of all."""
        try:
            look(now, bounds)
        except Exception:
            log.exception("a connection could not be looked at, it is closed")
            connection.abort()


class Connection(asyncio.Protocol):
    """One connection of Postfix."""

    def __init__(self, server: PolicyServer) -> None:
        self._server = server
        self._reader = PolicyConnection()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.heard = self._loop.time()
        """When the last byte came."""
        self._partial_since = 0.0  # since when part of a request waits for its rest; 0: none does
        self._begun = 0.0  # when the request under way was taken up; 0: none is
        self._expired = False
        self._closing = False
        self._reading_paused = False
        self._counted = 0  # bytes of the buffer, as the server has counted them
        self._writable: asyncio.Future[None] | None = None

    def is_spare(self, now: float) -> bool:
        """Tell whether nothing is under way, or half a request that Postfix would have finished."""
        return self._task is None and self._partial_since < now - HALF_REQUEST

    # As asyncio calls them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it when there are too many."""
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
        """Nobody is left to answer."""
        server = self._server
        server.forget(self)
        server.busy.discard(self)
        self._count(0)
        if self._task is not None:
            self._task.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self.heard = self._loop.time()
        reader = self._reader
        reader.receive_data(data)
        if self._task is None:
            event = self._next_event()
            if event is not None:
                self._task = self._loop.create_task(self._answer(event))
                self._server.busy.add(self)
        self._count(reader.buffered)
        if self._task is None:
            return
        if reader.buffered > READ_AHEAD and not self._reading_paused and self._transport:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer the other side, which has said all, then close."""
        self._closing = True
        if self._task is not None:
            return True
        if self._reader.mid_request:
            self._complain("half a request")
        return False

    def pause_writing(self) -> None:
        """Wait: the other side does not read its answers."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # Called by the server

    def look_busy(self, now: float, bounds: Bounds) -> None:
        """Keep the bounds of a connection that has a request under way."""
        if self._begun:
            if now - self._begun > bounds.budget and not self._expired and self._task is not None:
                self._expired = True
                self._task.cancel()
        elif self._writable is not None and now - self.heard > bounds.request_timeout:
            self._complain("answers are not read")
            self.abort()

    def look_silent(self, now: float, bounds: Bounds) -> None:
        """Keep the bounds of a connection that waits for the other side."""
        if self._task is not None or self._transport is None:
            return
        if self._partial_since and now - self._partial_since > bounds.request_timeout:
            self._complain("half a request, and silence")
            self._transport.close()
        elif now - self.heard > bounds.idle_timeout:
            self._transport.close()

    def close_when_done(self) -> None:
        """Answer the request under way, then close."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # The way of a request

    def _count(self, buffered: int) -> None:
        """Have the server count what waits in the buffer, and close where that is too much."""
        server = self._server
        more = buffered - self._counted
        if more > 0 and buffered > SMALL and not server.has_memory(more):
            self._complain("no memory for the rest of a request")
            self.abort()
            buffered = 0
        server.held += buffered - self._counted
        self._counted = buffered

    def _next_event(self) -> Request | Malformed | None:
        """Return the next event; closes the connection when there can be none."""
        reader = self._reader
        try:
            event = reader.next_event()
        except ProtocolError as error:
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
        except Exception:  # only a mistake of ours comes here
            log.exception("connection broke")
            transport.abort()
        finally:
            self._done(transport)

    async def _answer_request(self, transport: asyncio.Transport, request: Request) -> None:
        server = self._server
        engine = server.engine()
        begun = perf_counter()
        self._count(self._reader.buffered)
        size = COST_OF_PARTS + COST * self._reader.size
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
