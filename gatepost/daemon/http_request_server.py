"""HTTP server of a small service of a daemon: connections, their number, and drain.

Each connection has a task, and its requests are answered one after the other. A connection that is
beyond the number waits in the kernel.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import h11
from structlog.typing import FilteringBoundLogger

from gatepost.daemon.acceptor import Acceptor
from gatepost.peer.connection import PeerConnection
from gatepost.peer.served_http import WRITING, ServedHttp

BACKLOG: Final = 128
"""Connections that may wait to be accepted."""


class HttpAnswer(NamedTuple):
    """Status and body of an answer."""

    status: HTTPStatus
    octets: bytes
    media_type: str = "application/json"


class HttpRequestServer:
    """Serves requests with `answer`, which reads the body itself.

    At most `most()` connections are open. `keeps_open`: a connection may have several requests.
    `writing`: seconds for a client to read an answer. An exception of `answer` is logged and costs
    its connection.
    """

    def __init__(
        self,
        answer: Callable[[ServedHttp, h11.Request], Awaitable[HttpAnswer]],
        most: Callable[[], int],
        log: FilteringBoundLogger,
        *,
        keeps_open: bool,
        writing: float = WRITING,
    ) -> None:
        self._answer = answer
        self._most = most
        self._log = log
        self._keeps_open = keeps_open
        self._writing = writing
        self._draining = False
        self._acceptors: list[Acceptor] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on listening sockets."""
        for listening in sockets:
            listening.listen(BACKLOG)
            self._acceptors.append(
                Acceptor(listening, self._take, log=self._log, has_room=self._has_room)
            )

    async def drain(self, grace: float) -> None:
        """Accept nothing new, and finish the requests in progress within `grace` seconds."""
        self._draining = True
        for acceptor in self._acceptors:
            acceptor.close()
        for task in self._tasks - self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_room(self) -> bool:
        return len(self._tasks) < self._most()

    def _take(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(PeerConnection(accepted)))
        self._tasks.add(task)

        def forget(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            self._busy.discard(ended)
            accepted.close()

        task.add_done_callback(forget)

    async def _serve(self, client: PeerConnection) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        connection = ServedHttp(client, self._writing)
        try:
            while (request := await connection.request()) is not None:
                self._busy.add(task)
                answer = await self._answer(connection, request)
                await connection.reply(*answer)
                self._busy.discard(task)
                if self._draining or not self._keeps_open or not connection.go_on():
                    return
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # it is gone, does not read, or speaks something else
        except Exception:  # a mistake of ours costs this connection
            self._log.exception("a request could not be served")
