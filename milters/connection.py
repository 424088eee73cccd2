"""One connection of an MTA on the event loop: its socket, its limits of time and memory.

All data of one read is processed at once, and all answers are sent in one write. While a message
waits for DNS or clamd, or the MTA does not read, nothing more is read; so memory is bounded by one
read, one packet and the answer to one message.
"""

from __future__ import annotations

import asyncio
import enum
import socket
from collections.abc import Sequence
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.reply import Reply
from milters.actions import MessageAction
from milters.conversation import MilterConversation, queue_id
from milters.decision import Decisions
from milters.memory import Holding, Memory
from milters.protocol.errors import MilterProtocolError

READ: Final = 1 << 17
"""Maximum octets of one read, and so of the work of one connection before others have their
turn."""


class Spare(enum.IntEnum):
    """A kind of wait that may be cut short to make room; the least harmful comes first."""

    NEGOTIATION = 0
    """No negotiation yet: Postfix negotiates at once, so this client does not bring mail."""
    MESSAGE = 1
    """Between messages: Postfix keeps a connection while its client is silent; the next MAIL FROM
    would get 451."""
    REST = 2
    """Within a message that the MTA does not continue: it would get 451."""


SPARE_AFTER: Final = {Spare.NEGOTIATION: 1.0, Spare.MESSAGE: 5.0, Spare.REST: 30.0}
"""Seconds after which a connection may have to make room. Postfix waits 30 s for a milter that does
not accept its connection (milter_connect_timeout)."""


class Owner(Protocol):
    """The object to notify when a connection ends."""

    draining: bool

    def ended(self, connection: MilterConnection) -> None:
        """Forget a closed connection."""


class MilterConnection:
    """Handles one socket until it is closed."""

    __slots__ = (
        "_buffer",
        "_conversation",
        "_decisions",
        "_log",
        "_loop",
        "_moved",
        "_output",
        "_owner",
        "_reading",
        "_socket",
        "_waits_since",
    )

    def __init__(
        self,
        connection: socket.socket,
        conversation: MilterConversation,
        decisions: Decisions,
        owner: Owner,
        memory: Memory,
        log: FilteringBoundLogger,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._conversation = conversation
        self._decisions = decisions
        self._owner = owner
        self._buffer = Holding(memory)
        self._log = log
        self._loop = loop
        self._output = b""
        self._moved = loop.time()  # when a complete packet was last read, or anything written
        self._waits_since = self._moved  # the beginning, the negotiation, or the last message's end
        self._reading = False

    def begin(self) -> None:
        """Start reading: the MTA's first packet has usually arrived with the connection."""
        self._readable()

    @property
    def is_open(self) -> bool:
        """Return whether the socket is still open."""
        return self._socket.fileno() >= 0

    def is_silent_since(self, time: float) -> bool:
        """Return whether we wait for the MTA, which has sent no packet and read nothing since
        `time`."""
        return self._moved < time and self.is_their_turn

    def has_not_negotiated_since(self, time: float) -> bool:
        """Return whether the connection was open at `time` and has not negotiated yet."""
        return self._waits_since < time and not self._conversation.has_negotiated

    @property
    def awaited(self) -> tuple[Spare, float]:
        """Return the kind of wait when we wait for the MTA, and when it began.

        Incomplete packets change nothing, nor do packets between two messages.
        """
        conversation = self._conversation
        if conversation.in_message:
            return Spare.REST, self._moved
        negotiated = conversation.has_negotiated
        return Spare.MESSAGE if negotiated else Spare.NEGOTIATION, self._waits_since

    @property
    def is_their_turn(self) -> bool:
        """Return whether we wait for the MTA to send or to read."""
        return self._reading or bool(self._output)

    def drain(self) -> None:
        """Close now, or at the end of a message in progress."""
        if self._reading:
            self._readable()  # a message may have begun whose data was not read yet
            if self.is_open and not self._conversation.in_message:
                self.close()

    def close(self) -> None:
        """Close; an MTA that waits for an answer defers."""
        if not self.is_open:
            return
        self._stop_reading()
        if self._output:
            self._loop.remove_writer(self._socket)
        self._socket.close()
        self._owner.ended(self)

    # Callbacks of the event loop

    def _readable(self) -> None:
        try:
            octets = self._socket.recv(READ)
        except (BlockingIOError, InterruptedError):
            self._read()
            return
        except OSError:
            octets = b""
        if not octets:
            self.close()
            return
        try:
            self._follow(octets)
        except Exception:
            self._give_up()

    def _follow(self, octets: bytes) -> None:
        conversation = self._conversation
        incomplete = conversation.buffered + len(octets)
        negotiated = conversation.has_negotiated
        conversation.receive_data(octets)
        self._advance()
        self._count_buffer(conversation.kept)
        if conversation.buffered < incomplete:  # they completed a packet
            self._moved = self._loop.time()
            if not negotiated:
                self._waits_since = self._moved

    def _count_buffer(self, octets: int) -> None:
        """Count the octets in the buffer. If there is no room for a huge packet, the connection is
        closed, and the MTA defers."""
        if self.is_open and octets > READ and not self._buffer.grow(octets - self._buffer.octets):
            self._log.warning("no memory for a packet of this size, connection closed")
            self.close()
        self._buffer.set(octets if self.is_open else 0)

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        output, self._output = self._output, b""
        try:
            self._send(output)
        except Exception:
            self._give_up()

    def _take_turn(self) -> None:
        if self.is_open:
            try:
                self._advance()
            except Exception:
                self._give_up()

    # Callbacks of the decisions

    def _decided(self, result: Sequence[MessageAction] | Reply) -> None:
        try:
            self._answer(result)
        except Exception:
            self._give_up()

    def _give_up(self) -> None:
        """Close after a bug: nothing would be read any more, and the MTA would wait."""
        try:
            self._decisions.failed(self._conversation.session)
        finally:
            self.close()

    # Processing of received data

    def _advance(self) -> None:
        conversation = self._conversation
        try:
            end = conversation.advance()
        except MilterProtocolError as error:
            self._log.warning("not the milter protocol, connection closed", what=str(error))
            self.close()
            return
        if end is None:
            self._send(conversation.take_output())
            return
        result = self._decisions.decide(conversation.session, queue_id(end), self._decided)
        if result is None:
            self._stop_reading()  # DNS or clamd is asked
        else:
            self._answer(result)

    def _answer(self, result: Sequence[MessageAction] | Reply) -> None:
        if not self.is_open:
            return
        conversation = self._conversation
        if isinstance(result, Reply):
            conversation.refuse(result)
        else:
            conversation.answer(result)
        self._waits_since = self._loop.time()
        self._send(conversation.take_output())

    def _send(self, output: bytes) -> None:
        if output:
            try:
                sent = self._socket.send(output)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.close()
                return
            self._moved = self._loop.time()
            if sent < len(output):
                self._output = output[sent:]
                self._stop_reading()
                self._loop.add_writer(self._socket, self._writable)
                return
        self._go_on()

    def _go_on(self) -> None:
        conversation = self._conversation
        if conversation.has_ended or (self._owner.draining and not conversation.in_message):
            self.close()
        elif conversation.has_more:
            # one message per turn, so that other connections have theirs
            self._stop_reading()
            self._loop.call_soon(self._take_turn)
        else:
            self._read()

    def _read(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._socket)
