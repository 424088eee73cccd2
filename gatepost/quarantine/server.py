"""HTTP server of a holder: it shows, releases and deletes mail for the accounts service."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11
from structlog.typing import FilteringBoundLogger

from gatepost.daemon.http_request_server import HttpAnswer, HttpRequestServer
from gatepost.peer.served_http import ServedHttp, has_token
from gatepost.quarantine import wire
from gatepost.quarantine.holder import Holder, HolderError
from gatepost.quarantine.settings import MAX_CLIENTS

WRITING: Final = 60.0
"""Seconds for a client to read its answer."""
_OCTETS: Final = "application/octet-stream"
_OTHERS: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class HolderRules:
    """The holder of one configuration, with its name and the token of its clients."""

    holder: Holder
    name: str
    token: bytes


def holder_name(kind: str) -> str:
    """Return the name of the holder of a kind on this host, which in a pod is that of the pod."""
    host = _OTHERS.sub("-", socket.gethostname()).strip(".-") or "localhost"
    return f"{kind}-{host}"[:128]


class HolderServer(HttpRequestServer):
    """Serves requests by the `rules()` in use; None is a service that is switched off.

    A connection has one request: a client that stays would keep others out.
    """

    def __init__(self, rules: Callable[[], HolderRules | None], log: FilteringBoundLogger) -> None:
        super().__init__(self._reply, lambda: MAX_CLIENTS, log, keeps_open=False, writing=WRITING)
        self._rules = rules

    async def _reply(self, connection: ServedHttp, request: h11.Request) -> HttpAnswer:
        rules = self._rules()
        if rules is None:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "the service is switched off")
        if rules.token and not has_token(request, rules.token):
            return _error(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong")
        path = request.target.decode("latin-1")
        if path not in wire.PATHS:
            return _error(HTTPStatus.NOT_FOUND, "there is no such path")
        if request.method != b"POST":
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, "use POST")
        body = await connection.body(wire.MAX_REQUEST, wire.MAX_REQUEST)
        if body is None:
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large")
        try:
            asked = wire.read_request(body)
        except wire.WireError as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        if asked.holder not in ("", rules.name):
            return _error(HTTPStatus.NOT_FOUND, "this is another holder")
        if path != "/list" and not asked.id:
            return _error(HTTPStatus.BAD_REQUEST, "id is missing")
        try:
            return await self._do(path, asked, rules)
        except HolderError as error:
            return _error(error.status, str(error))
        except Exception:
            self._log.exception("a request to the quarantine failed")
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "a mistake of ours: see the log")

    async def _do(self, path: str, asked: wire.HolderRequest, rules: HolderRules) -> HttpAnswer:
        holder, name = rules.holder, rules.name
        match path:
            case "/list":
                page = await holder.latest(asked.reach, max(1, asked.limit))
                return HttpAnswer(HTTPStatus.OK, wire.page_answer(name, page))
            case "/read":
                content = await holder.read(asked.id, asked.reach, asked.most)
                return HttpAnswer(HTTPStatus.OK, wire.content_answer(name, content), _OCTETS)
            case "/release":
                done = await holder.release(asked.id, asked.reach, asked.by)
                return HttpAnswer(HTTPStatus.OK, wire.release_answer(name, done))
        mail = await holder.delete(asked.id, asked.reach, asked.by)
        return HttpAnswer(HTTPStatus.OK, wire.mail_answer(name, mail))


def _error(status: HTTPStatus, text: str) -> HttpAnswer:
    return HttpAnswer(status, json.dumps({"error": text}).encode() + b"\n")
