"""HTTP server of the service that teaches the spam filter.

A connection may have several requests, one after the other. Only the beginning of a message is
kept: what is learned of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import h11
from structlog.typing import FilteringBoundLogger

from delivery.learning.requests import LearningAnswer, LearningTarget, answer, read_target
from delivery.learning_settings import LearningSettings
from delivery.lesson import MARGIN
from delivery.message_delivery import DeliveryRules
from delivery.trainer import Trainer
from gatepost.daemon import Acceptor
from gatepost.errors import StartError
from gatepost.peer.connection import PeerConnection

MAX_HEAD: Final = 8192
"""Octets of the head of a request."""
IDLE: Final = 60.0
"""Seconds until a connection without a request is closed."""
ARRIVAL: Final = 120.0
"""Seconds for a request to arrive."""
WRITING: Final = 10.0
"""Seconds for a client to read its answer."""
BACKLOG: Final = 128


class LearningRules:
    """The objects of one configuration."""

    def __init__(self, rules: DeliveryRules, trainer: Trainer, token: bytes) -> None:
        self.rules = rules
        self.trainer = trainer
        self.token = token

    @property
    def settings(self) -> LearningSettings:
        """Return the section of the configuration."""
        return self.rules.settings.learning


def read_learning_token(settings: LearningSettings) -> bytes:
    """Return the token of clients; empty if none is needed. Raises `StartError`."""
    if settings.token_file is None:
        return b""
    try:
        token = settings.token_file.read().strip()
    except (OSError, ValueError) as error:
        raise StartError(f"delivery.learning.token_file: {error}") from None
    if len(token) < 16 or not all(0x21 <= octet <= 0x7E for octet in token):
        raise StartError(
            f"delivery.learning.token_file: {settings.token_file} has no token of at least 16 "
            "printable characters"
        )
    return token


class LearningServer:
    """Serves requests by the `rules()` in use."""

    def __init__(
        self, rules: Callable[[], LearningRules | None], log: FilteringBoundLogger
    ) -> None:
        self._rules = rules
        self._log = log
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
        rules = self._rules()
        return rules is not None and len(self._tasks) < rules.settings.max_connections

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
        try:
            connection = _HttpConnection(client)
            while (request := await connection.request()) is not None:
                self._busy.add(task)
                # only once the head is there: an idle connection has no rules
                await connection.reply(await self._answer(connection, request))
                self._busy.discard(task)
                if not connection.go_on():
                    return
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # it is gone, does not read, or speaks something else
        except Exception:  # a mistake of ours costs this connection
            self._log.exception("a request to learn could not be served")

    async def _answer(self, connection: _HttpConnection, request: h11.Request) -> LearningAnswer:
        rules = self._rules()
        if rules is None:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "the service is switched off")
        if rules.token and not _is_allowed(request, rules.token):
            return _error(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong")
        target = read_target(request.method.decode("ascii"), request.target.decode("latin-1"))
        if isinstance(target, LearningAnswer):
            return target
        return await self._do(connection, target, rules)

    async def _do(
        self, connection: _HttpConnection, target: LearningTarget, rules: LearningRules
    ) -> LearningAnswer:
        kept = rules.rules.settings.spam.scan_size + MARGIN
        body = await connection.body(kept, rules.settings.max_size)
        if body is None:
            most = rules.settings.max_size
            return _error(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a message has at most {most} octets"
            )
        try:
            return await answer(target, body, rules.rules, rules.trainer)
        except Exception:
            self._log.exception("a lesson could not be learned")
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "a mistake of ours: see the log")


class _HttpConnection:
    """HTTP/1.1 on one connection (RFC 9112)."""

    def __init__(self, client: PeerConnection) -> None:
        self._client = client
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def request(self) -> h11.Request | None:
        """Return the head of the next request; None at the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE):
                event = await self._next()
                return event if isinstance(event, h11.Request) else None
        return None

    async def body(self, kept: int, most: int) -> bytes | None:
        """Return the first `kept` octets of the body; None if it has more than `most`."""
        body, size = bytearray(), 0
        if self._http.they_are_waiting_for_100_continue:
            head = h11.InformationalResponse(status_code=100, headers=[])
            await self._send(self._http.send(head) or b"")
        async with asyncio.timeout(ARRIVAL):
            while isinstance(event := await self._next(), h11.Data):
                size += len(event.data)
                if size > most:
                    return None
                body += event.data[: max(0, kept - len(body))]
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionResetError
        return bytes(body)

    async def reply(self, what: LearningAnswer) -> None:
        """Send an answer."""
        octets = json.dumps(what.body).encode() + b"\n"
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(octets))),
            ("Cache-Control", "no-store"),
        ]
        # the rest of a request that was not read is not looked for
        if self._http.their_state not in (h11.DONE, h11.MUST_CLOSE):
            headers.append(("Connection", "close"))
        response = h11.Response(status_code=what.status, headers=headers)
        data = self._http.send(response) or b""
        data += self._http.send(h11.Data(data=octets)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        await self._send(data)

    def go_on(self) -> bool:
        """Prepare for the next request; returns False if there can be none."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._client.receive())
        return event  # type: ignore[return-value]

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(WRITING):
            await self._client.send(data)


def _is_allowed(request: h11.Request, token: bytes) -> bool:
    given = [value for name, value in request.headers if name == b"authorization"]
    # RFC 6750 section 2.1
    return len(given) == 1 and hmac.compare_digest(given[0], b"Bearer " + token)


def _error(status: HTTPStatus, text: str) -> LearningAnswer:
    return LearningAnswer(status, {"error": text})
