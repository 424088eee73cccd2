"""Connection of Postfix to the policy server: its requests, their answers and their limits.

A connection has no task while it waits. When a request arrives, one task answers the requests in
the buffer, one after the other, and ends. The server calls `look_busy` and `look_silent` from time
to time to enforce the time limits, so that no request needs its own timer.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Protocol, cast

from gatepost.logs import get_logger
from policyd.action import DUNNO
from policyd.bounds import BUSY, COST, COST_OF_PARTS, READ_AHEAD, SMALL, Bounds
from policyd.counts import CONNECTIONS, MALFORMED, OUT_OF_TIME, REFUSED
from policyd.engine import Decision, Engine
from policyd.protocol import Malformed, PolicyProtocolError, RequestReader
from policyd.request import Request

HALF_REQUEST = 1.0
"""Seconds after which an incomplete request counts as silence: Postfix writes a request at once."""

_DUNNO = DUNNO.wire

log = get_logger("policyd")


class ConnectionServer(Protocol):
    """Interface of the server that a connection belongs to."""

    connections: set[Any]
    busy: set[Any]
    draining: bool
    held: int
    """Memory in bytes that all requests use now."""

    def engine(self) -> Engine:
        """Return the checks in use now."""

    def has_room(self) -> bool:
        """Return whether there is room for one more connection."""

    def has_memory(self, size: int) -> bool:
        """Return whether a request may use `size` more bytes."""

    def forget(self, connection: Any) -> None:
        """Forget a connection that is closed or about to be closed."""

    def note(self, request: Request, decision: Decision, seconds: float) -> None:
        """Count and log one decision."""


class PolicyConnection(asyncio.Protocol):
    """One connection of Postfix."""

    def __init__(self, server: ConnectionServer) -> None:
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
