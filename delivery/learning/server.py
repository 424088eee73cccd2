"""HTTP server of the service that teaches the spam filter.

A connection may have several requests, one after the other. Only the beginning of a message is
kept: what is learned of it.
"""

from __future__ import annotations

import asyncio
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
from gatepost.peer.served_http import ServedHttp, has_token

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
            connection = ServedHttp(client)
            while (request := await connection.request()) is not None:
                self._busy.add(task)
                # only once the head is there: an idle connection has no rules
                said = await self._answer(connection, request)
                octets = json.dumps(said.body).encode() + b"\n"
                await connection.reply(said.status, octets, "application/json")
                self._busy.discard(task)
                if not connection.go_on():
                    return
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # it is gone, does not read, or speaks something else
        except Exception:  # a mistake of ours costs this connection
            self._log.exception("a request to learn could not be served")

    async def _answer(self, connection: ServedHttp, request: h11.Request) -> LearningAnswer:
        rules = self._rules()
        if rules is None:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "the service is switched off")
        if rules.token and not has_token(request, rules.token):
            return _error(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong")
        target = read_target(request.method.decode("ascii"), request.target.decode("latin-1"))
        if isinstance(target, LearningAnswer):
            return target
        return await self._do(connection, target, rules)

    async def _do(
        self, connection: ServedHttp, target: LearningTarget, rules: LearningRules
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


def _error(status: HTTPStatus, text: str) -> LearningAnswer:
    return LearningAnswer(status, {"error": text})
