"""HTTP server of the service that teaches the spam filter.

A connection may have several requests, one after the other. Only the beginning of a message is
kept: what is learned of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus

import h11
from structlog.typing import FilteringBoundLogger

from delivery.learning.requests import LearningAnswer, LearningTarget, answer, read_target
from delivery.learning_settings import LearningSettings
from delivery.lesson import MARGIN
from delivery.message_delivery import DeliveryRules
from delivery.trainer import Trainer
from gatepost.daemon.http_request_server import HttpAnswer, HttpRequestServer
from gatepost.errors import StartError
from gatepost.peer.served_http import ServedHttp, has_token


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


class LearningServer(HttpRequestServer):
    """Serves requests by the `rules()` in use; while they are None, connections wait."""

    def __init__(
        self, rules: Callable[[], LearningRules | None], log: FilteringBoundLogger
    ) -> None:
        super().__init__(self._reply, self._most_connections, log, keeps_open=True)
        self._rules = rules

    def _most_connections(self) -> int:
        rules = self._rules()
        return 0 if rules is None else rules.settings.max_connections

    async def _reply(self, connection: ServedHttp, request: h11.Request) -> HttpAnswer:
        # only once the head is there: an idle connection has no rules
        said = await self._said(connection, request)
        return HttpAnswer(said.status, json.dumps(said.body).encode() + b"\n")

    async def _said(self, connection: ServedHttp, request: h11.Request) -> LearningAnswer:
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
