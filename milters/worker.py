"""A worker: takes connections until told to drain, and follows them to their end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from gatepost.daemon import Acceptor
from gatepost.metrics import Gauge
from milters.balance import Balance
from milters.connection import Connection
from milters.conversation import TCP, UNIX, Conversation
from milters.decision import Decisions
from milters.session import Session

LOOK_INTERVAL = 10.0
"""Seconds between two looks at which connections are silent."""

SLACK = 2
"""Connections that a worker may have more than another before it leaves the next one to that:
sessions that last for one message come and go, and holding off each time costs more than it
balances."""

PACKET_REST = 65536
"""Octets beside a header value in a packet of the milter protocol: the name and two NULs."""

CONNECTIONS = Gauge(
    "gatepost_milters_connections",
    "Connections of MTAs that are open",
    across="sum",
)


@dataclass(frozen=True)
class Listener:
    """A listening socket, and whether all mail that comes over it is ours."""

    socket: socket.socket
    submission: bool


class Worker:
    """Follows the connections of this process; made and used in its event loop."""

    def __init__(
        self, number: int, decisions: Decisions, balance: Balance, log: FilteringBoundLogger
    ) -> None:
        self._number = number
        self._decisions = decisions
        self._balance = balance
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._acceptors: list[Acceptor] = []
        self._connections: set[Connection] = set()
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.draining = False
        balance.set(number, 0)

    def listen(self, listeners: Sequence[Listener]) -> None:
        """Take connections."""
        for listener in listeners:
            self._acceptors.append(self._acceptor(listener))
        self._look()

    async def drain(self, grace: float) -> None:
        """Take no more, and wait until no message is under way; `grace` seconds at most."""
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

    def ended(self, connection: Connection) -> None:
        """A connection is closed."""
        self._connections.discard(connection)
        self._count()
        if not self._connections:
            self._ended.set()

    def _has_room(self) -> bool:
        """Whether one more connection may come."""
        return len(self._connections) < self._decisions.rules.settings.max_connections

    def _count(self) -> None:
        count = len(self._connections)
        CONNECTIONS.set(count)
        self._balance.set(self._number, count)

    def _acceptor(self, listener: Listener) -> Acceptor:
        is_unix = listener.socket.family == socket.AF_UNIX
        wishes = UNIX if is_unix else TCP
        decisions = self._decisions

        def take(accepted: socket.socket) -> None:
            session = Session(lambda: decisions.rules, submission=listener.submission)
            max_packet = decisions.rules.settings.max_header + PACKET_REST
            conversation = Conversation(session, decisions, wishes, max_packet)
            connection = Connection(accepted, conversation, decisions, self, self._log, self._loop)
            self._connections.add(connection)
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
        """Close the connections that have been silent for too long."""
        timeout = self._decisions.rules.settings.idle_timeout
        self._timer = self._loop.call_later(min(LOOK_INTERVAL, timeout / 4), self._look)
        oldest = self._loop.time() - timeout
        for connection in [each for each in self._connections if each.is_silent_since(oldest)]:
            self._log.warning("a silent connection is closed", idle_timeout=timeout)
            connection.close()
