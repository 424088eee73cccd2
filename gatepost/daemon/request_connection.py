"""One connection of a `RequestServer`: its requests are answered one at a time, in their order."""

from __future__ import annotations

import asyncio
import fcntl
import inspect
import socket
import struct
import termios
from collections.abc import Awaitable
from typing import Any, Generic, Protocol, TypeVar, cast

from gatepost.conversation import Answered, Conversation, StreamError
from gatepost.daemon.request_bounds import ConnectionBounds

E = TypeVar("E")
R = TypeVar("R")

READ_SIZE = 8 * 1024
"""Octets that are read at once."""
READ_AHEAD = 8 * 1024
"""Octets of pipelined requests that are taken before the socket is left to wait. Until then it is
read while a request is under way, so that the end of the connection ends the work for it."""
WRITE_HIGH = 16 * 1024
"""Octets of answers that wait to be read before no other is made."""
HALF_REQUEST = 1.0
"""Seconds after which half a request is silence: mail servers write one at once."""
SETTLED = 1.0
"""Seconds that the last answer has to arrive, so that a reset takes nothing away."""
_INT = struct.Struct("i")
_LINGER_NONE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Server(Protocol[E, R]):
    """The server of a connection."""

    buffer: memoryview
    busy: set[Any]
    draining: bool

    def conversation(self) -> Conversation[E, R]:
        """Return the state of a new connection."""

    def answer(self, event: E) -> R | Awaitable[R]:
        """Return the answer to a request, or something that will."""

    def welcome(self, connection: Any) -> bool:
        """Count a new connection; False when it cannot stay."""

    def forget(self, connection: Any) -> None:
        """Forget a connection, which is closed or about to be."""

    def complain(self, what: str, peer: str) -> None:
        """Count and log octets that are no request."""

    def note_failure(self, event: E, error: Exception | None) -> None:
        """Count and log a request that could not be answered; `error` is None: no time left."""


class RequestConnection(asyncio.BufferedProtocol, Generic[E, R]):
    """One connection; all is called in the event loop."""

    def __init__(self, server: Server[E, R]) -> None:
        self._server = server
        self._conversation = server.conversation()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.heard = self._loop.time()
        """When the last octet came."""
        self._said = 0.0  # when the last answer was written
        self._partial_since = 0.0  # since when half a request waits for its rest; 0: none does
        self._begun = 0.0  # when the request under way was taken up; 0: none is
        self._expired = False
        self._closing = False
        self._is_reading = True
        self._blocked_since = 0.0  # since when the other side does not read; 0: it does

    @property
    def is_busy(self) -> bool:
        """Return whether a request is under way, or an answer waits to be read."""
        return self._task is not None or bool(self._blocked_since)

    def is_spare(self, now: float) -> bool:
        """Tell whether nothing is under way, or half a request that should have been finished."""
        return not self.is_busy and self._partial_since < now - HALF_REQUEST

    # As asyncio calls them

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it when there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._server.welcome(self):
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._write(self._conversation.greeting)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's
        """Nobody is left to answer."""
        self._closing = True
        self._server.forget(self)
        if self._task is not None:
            self._task.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 # asyncio's
        """Return where to read to."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Answer what is complete."""
        self.heard = self._loop.time()
        self._conversation.receive_data(bytes(self._server.buffer[:nbytes]))
        self._go_on()

    def eof_received(self) -> bool:
        """Answer the other side, which has said all, then close."""
        self._closing = True
        if not self.is_busy:
            if self._conversation.mid_request:
                self._complain("half a request")
            return False
        return True

    def pause_writing(self) -> None:
        """Wait: the other side does not read its answers."""
        self._blocked_since = self._loop.time()
        self._server.busy.add(self)

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked_since = 0.0
        self._go_on()

    # Called by the server

    def look(self, now: float, bounds: ConnectionBounds) -> None:
        """Keep the bounds of time."""
        if self._transport is not None and self._transport.is_closing():
            if now - self._said > bounds.request_timeout:
                self.abort()  # nobody reads the end
        elif self._task is not None:
            if self._begun and now - self._begun > bounds.answer_timeout and not self._expired:
                self._expired = True
                self._task.cancel()
        elif self._blocked_since:
            if now - self._blocked_since > bounds.request_timeout:
                self._complain("answers are not read")
                self.abort()
        elif self._partial_since and now - self._partial_since > bounds.request_timeout:
            self._complain("half a request, and silence")
            self.reset()
        elif now - self.heard > bounds.idle_timeout:
            self.reset()

    def close_when_done(self) -> None:
        """Answer the request under way, then close."""
        self._closing = True
        if not self.is_busy:
            self._end(self._loop.time())

    def reset(self) -> None:
        """Close with a reset, which the next write of the other side notices at once."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            raw = transport.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            transport.abort()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # The way of a request

    def _go_on(self) -> None:
        """Answer one request after the other, as far as that needs no waiting."""
        transport, server = self._transport, self._server
        if transport is None:
            return
        while not self.is_busy and not transport.is_closing():
            if server.draining:
                self._end(self._loop.time())
                return
            event = self._next_event()
            if event is None:
                break
            if isinstance(event, Answered):
                if event.complaint:
                    self._complain(event.complaint)
                self._write(event.reply)
                continue
            try:
                reply = server.answer(event)
                if inspect.isawaitable(reply):
                    self._begun = self._loop.time()
                    self._task = self._loop.create_task(self._await(event, reply))
                    server.busy.add(self)
                    break
                self._reply(event, reply)
            except Exception as error:
                self._fail(event, error)
        self._read_or_wait(transport)

    def _read_or_wait(self, transport: asyncio.Transport) -> None:
        if transport.is_closing():
            return
        if self.is_busy:
            if self._is_reading and self._conversation.buffered > READ_AHEAD:
                self._is_reading = False
                transport.pause_reading()
        elif self._closing:
            transport.close()
        elif not self._is_reading:
            self._is_reading = True
            transport.resume_reading()

    def _next_event(self) -> E | Answered | None:
        """Return the next event; closes the connection when there can be none."""
        conversation = self._conversation
        try:
            event = conversation.next_event()
        except StreamError as error:
            self._complain(str(error))
            if self._transport is not None:
                self._transport.close()  # what was answered before is still sent
            return None
        if event is None and conversation.mid_request:
            self._partial_since = self._partial_since or self.heard
        else:
            self._partial_since = 0.0
        return event

    async def _await(self, event: E, pending: Awaitable[R]) -> None:
        try:
            reply = await pending
            self._task, self._begun = None, 0.0
            self._reply(event, reply)
        except asyncio.CancelledError:
            if not self._expired:
                raise
            self._fail(event, None)
        except Exception as error:
            self._fail(event, error)
        finally:
            self._task, self._begun, self._expired = None, 0.0, False
        self._go_on()

    def _reply(self, event: E, reply: R) -> None:
        self._write_or_close(self._conversation.encode(event, reply))

    def _fail(self, event: E, error: Exception | None) -> None:
        self._server.note_failure(event, error)
        self._write_or_close(self._conversation.failure(event, expired=error is None))

    def _write_or_close(self, octets: bytes | None) -> None:
        if octets is not None:
            self._write(octets)
        else:
            self.reset()

    def _write(self, octets: bytes) -> None:
        if octets and self._transport is not None:
            self._said = self._loop.time()
            self._transport.write(octets)

    def _end(self, now: float) -> None:
        """Close where nothing is under way, once the last answer has arrived."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._is_reading:
            self._is_reading = False
            transport.pause_reading()
        self._loop.call_later(max(0.0, self._said + SETTLED - now), self._settle, transport)

    def _settle(self, transport: asyncio.Transport) -> None:
        """Reset, unless that would take away what the other side's kernel does not have yet."""
        raw = transport.get_extra_info("socket")
        if transport.is_closing() or raw is None:
            return
        (unsent,) = _INT.unpack(fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(_INT.size)))
        if unsent or transport.get_write_buffer_size():
            transport.close()
        else:
            self.reset()

    def _complain(self, what: str) -> None:
        peer = self._transport.get_extra_info("peername") if self._transport else None
        self._server.complain(what, str(peer or "unix socket"))
