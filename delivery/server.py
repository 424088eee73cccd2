"""Server of LMTP: it accepts connections, keeps their bound, and drains."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from delivery.connection import LmtpConnection
from delivery.counts import CONNECTIONS, MADE_ROOM
from delivery.message_delivery import DeliveryRules
from gatepost.daemon import Acceptor
from gatepost.journal.sender import JournalSender

BACKLOG: Final = 1024
"""Connections that may wait to be accepted; net.core.somaxconn limits it."""
SPARE_AFTER: Final = 1.0
"""Seconds of silence after which an idle connection makes room for another one."""


class DeliveryServer:
    """Serves LMTP on any number of sockets, by the `rules()` in use when a message begins."""

    def __init__(
        self,
        rules: Callable[[], DeliveryRules],
        log: FilteringBoundLogger,
        journal: JournalSender | None = None,
    ) -> None:
        self.rules = rules
        self.journal = journal if journal is not None and journal.is_wanted else None
        self.draining = False
        self._log = log
        self._acceptors: list[Acceptor] = []
        self._connections: dict[LmtpConnection, asyncio.Task[None]] = {}

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        for listening in sockets:
            listening.listen(BACKLOG)
            self._acceptors.append(
                Acceptor(listening, self._take, log=self._log, has_room=self._has_room)
            )

    async def drain(self, grace: float) -> None:
        """Accept nothing new, finish the messages in progress within `grace` seconds, close."""
        self.draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        for connection, task in list(self._connections.items()):
            if connection.is_idle:
                task.cancel()
        tasks = list(self._connections.values())
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_room(self) -> bool:
        """Return whether one more connection may be open; an idle one makes room."""
        bound = self.rules().settings.max_connections
        if len(self._connections) < bound:
            return True
        now = asyncio.get_running_loop().time()
        spare = [one for one in self._connections if one.is_idle and one.heard < now - SPARE_AFTER]
        if spare:
            MADE_ROOM.inc()
            self._connections[min(spare, key=lambda one: one.heard)].cancel()
        return False  # the next look finds the room

    def _take(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        connection = LmtpConnection(self, accepted, self._log)
        task = asyncio.get_running_loop().create_task(connection.run())
        self._connections[connection] = task
        CONNECTIONS.add(1)
        task.add_done_callback(lambda _: self._forget(connection, accepted))

    def _forget(self, connection: LmtpConnection, accepted: socket.socket) -> None:
        del self._connections[connection]
        CONNECTIONS.add(-1)
        accepted.close()
