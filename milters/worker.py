"""A worker: accepts connections until told to drain, and serves them to their end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter

from structlog.typing import FilteringBoundLogger

from gatepost.daemon import Acceptor, RareWarnings
from gatepost.metrics import Counter, Gauge
from milters.balance import Balance
from milters.connection import SPARE_AFTER, MilterConnection, Spare
from milters.conversation import TCP, UNIX, MilterConversation
from milters.decision import Decisions
from milters.memory import Memory
from milters.session import Session
from milters.vitals import BEAT_INTERVAL, Vitals

NEGOTIATION_TIMEOUT = 10.0
"""Seconds in which an MTA has to negotiate, however slowly it sends: Postfix and Sendmail negotiate
as soon as they connect."""

MUTE_SHARE = 0.1
"""Fraction of max_connections. If more than this has not negotiated, only such connections make
room: a flood of them must not displace those of Postfix, which have been idle for longer."""

SLACK = 2
"""Connections that a worker may have more than another before it leaves the next one to that:
sessions with a single message are short, and holding back each time would cost more than it
gains."""

PACKET_REST = 65536
"""Octets besides a header value in a packet of the milter protocol: the name and two NULs."""

CLOSED = Counter(
    "gatepost_milters_connections_closed_total",
    "Connections closed because the MTA was silent: it did not negotiate, was idle for "
    "idle_timeout, or had to make room for another at max_connections",
    ["why"],
)
HELD = Gauge(
    "gatepost_milters_held_octets",
    "Memory used by messages in progress, limited by message_memory",
    across="sum",
)
CONNECTIONS = Gauge(
    "gatepost_milters_connections",
    "Open connections from MTAs",
    across="sum",
)


@dataclass(frozen=True)
class Listener:
    """A listening socket, and whether all its mail is ours."""

    socket: socket.socket
    submission: bool


class Worker:
    """Serves the connections of this process; created and used in its event loop."""

    def __init__(
        self,
        number: int,
        decisions: Decisions,
        balance: Balance,
        vitals: Vitals,
        log: FilteringBoundLogger,
    ) -> None:
        self._number = number
        self._decisions = decisions
        self._balance = balance
        self._vitals = vitals
        self._memory = Memory(self._share)
        self._has_taken = False  # since the last sign of life
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._warnings = RareWarnings(log, self._loop.time)
        self._acceptors: list[Acceptor] = []
        self._connections: set[MilterConnection] = set()
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.draining = False
        balance.set(number, 0)
        vitals.started(number)

    def listen(self, listeners: Sequence[Listener]) -> None:
        """Accept connections."""
        for listener in listeners:
            self._acceptors.append(self._acceptor(listener))
        self._look()

    async def drain(self, grace: float) -> None:
        """Accept no more, and wait until no message is in progress, for at most `grace` seconds."""
        self.draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            self._ended.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._ended.wait()
        if self._timer is not None:
            self._timer.cancel()

    def ended(self, connection: MilterConnection) -> None:
        """Forget a closed connection."""
        self._connections.discard(connection)
        self._count()
        if not self._connections:
            self._ended.set()

    def _has_room(self) -> bool:
        """Return whether there is room for one more connection.

        At the limit, the least needed connections make room: several at a time, because finding
        them means checking all.
        """
        bound = self._decisions.rules.settings.max_connections
        if len(self._connections) < bound:
            return True
        for _, connection in nsmallest(max(1, bound // 100), self._spare(), key=itemgetter(0)):
            CLOSED.labels("room").inc()
            connection.close()
        has_room = len(self._connections) < bound
        if has_room:
            self._warnings.warn(
                "closing the longest-idle connections to make room", max_connections=bound
            )
        return has_room

    def _spare(self) -> Iterator[tuple[tuple[Spare, float], MilterConnection]]:
        """Yield the connections that may have to make room, with their rank."""
        now = self._loop.time()
        bound = self._decisions.rules.settings.max_connections
        found = [(one.awaited, one) for one in self._connections if one.is_their_turn]
        mute = sum(1 for (kind, _), _ in found if kind is Spare.NEGOTIATION)
        for (kind, since), connection in found:
            if kind is not Spare.NEGOTIATION and mute >= bound * MUTE_SHARE:
                continue  # those can make room soon
            if now - since >= SPARE_AFTER[kind]:
                yield (kind, since), connection

    def _could_take(self) -> bool:
        """Return whether a new connection would be accepted and served."""
        bound = self._decisions.rules.settings.max_connections
        if len(self._connections) >= bound and not any(self._spare()):
            return False
        try:
            socket.socket(socket.AF_UNIX).close()
        except OSError:
            return False
        return True

    def _share(self) -> int:
        """Return the octets of memory for the messages of this worker."""
        settings = self._decisions.rules.settings
        # one huge packet must fit beside its message, however many workers there are
        return max(settings.message_memory // self._balance.workers, 2 * settings.max_header)

    def _count(self) -> None:
        count = len(self._connections)
        CONNECTIONS.set(count)
        self._balance.set(self._number, count)

    def _acceptor(self, listener: Listener) -> Acceptor:
        is_unix = listener.socket.family == socket.AF_UNIX
        wishes = UNIX if is_unix else TCP
        decisions = self._decisions

        def take(accepted: socket.socket) -> None:
            session = Session(
                lambda: decisions.rules, submission=listener.submission, memory=self._memory
            )
            max_packet = decisions.rules.settings.max_header + PACKET_REST
            conversation = MilterConversation(session, decisions, wishes, max_packet)
            connection = MilterConnection(
                accepted, conversation, decisions, self, self._memory, self._log, self._loop
            )
            self._connections.add(connection)
            self._has_taken = True
            connection.begin()
            self._count()

        return Acceptor(
            listener.socket,
            take,
            log=self._log,
            has_room=self._has_room,
            hold_off=lambda: self._balance.excess(self._number) >= SLACK,
        )

    def _look(self) -> None:
        """Close connections that have been silent for too long, and give a sign of life."""
        timeout = self._decisions.rules.settings.idle_timeout
        self._timer = self._loop.call_later(min(BEAT_INTERVAL, timeout / 4), self._look)
        now = self._loop.time()
        for connection in [one for one in self._connections if one.is_silent_since(now - timeout)]:
            self._log.warning("silent connection closed", idle_timeout=timeout)
            CLOSED.labels("idle").inc()
            connection.close()
        oldest = now - NEGOTIATION_TIMEOUT
        mute = [one for one in self._connections if one.has_not_negotiated_since(oldest)]
        for connection in mute:
            CLOSED.labels("negotiation").inc()
            connection.close()
        if mute:  # one line for all: there may be thousands
            self._log.warning(
                "connections without negotiation closed",
                count=len(mute),
                seconds=NEGOTIATION_TIMEOUT,
            )
        HELD.set(self._memory.held)
        self._vitals.beat(self._number, takes=self._has_taken or self._could_take())
        self._has_taken = False
