"""HTTP server of a holder: it shows, releases and deletes mail for the accounts service."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11
from structlog.typing import FilteringBoundLogger

from gatepost.daemon import Acceptor
from gatepost.peer.connection import PeerConnection
from gatepost.peer.served_http import ServedHttp, has_token
from gatepost.quarantine import wire
from gatepost.quarantine.holder import Holder, HolderError
from gatepost.quarantine.settings import MAX_CLIENTS

WRITING: Final = 60.0
"""Seconds for a client to read its answer."""
BACKLOG: Final = 128
_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"
_OTHERS: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class HolderRules:
    """The holder of one configuration, with its name and the token of its clients."""

    holder: Holder
    name: str
    token: bytes


@dataclass(frozen=True, slots=True)
class _Said:
    status: HTTPStatus
    octets: bytes
    media_type: str = _JSON


def holder_name(kind: str) -> str:
    """Return the name of the holder of a kind on this host, which in a pod is that of the pod."""
    host = _OTHERS.sub("-", socket.gethostname()).strip(".-") or "localhost"
    return f"{kind}-{host}"[:128]


class HolderServer:
    """Serves requests by the `rules()` in use; None is a service that is switched off."""

    def __init__(self, rules: Callable[[], HolderRules | None], log: FilteringBoundLogger) -> None:
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
                Acceptor(
                    listening,
                    self._take,
                    log=self._log,
                    has_room=lambda: len(self._tasks) < MAX_CLIENTS,
                )
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
        connection = ServedHttp(client, WRITING)
        try:
            # one request: a client that stays would keep others out
            if (request := await connection.request()) is not None:
                self._busy.add(task)
                said = await self._answer(connection, request)
                await connection.reply(said.status, said.octets, said.media_type)
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # it is gone, does not read, or speaks something else
        except Exception:  # a mistake of ours costs this connection
            self._log.exception("a request to the quarantine could not be served")

    async def _answer(self, connection: ServedHttp, request: h11.Request) -> _Said:
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

    async def _do(self, path: str, asked: wire.HolderRequest, rules: HolderRules) -> _Said:
        holder, name = rules.holder, rules.name
        match path:
            case "/list":
                page = await holder.latest(asked.reach, max(1, asked.limit))
                return _Said(HTTPStatus.OK, wire.page_answer(name, page))
            case "/read":
                content = await holder.read(asked.id, asked.reach, asked.most)
                return _Said(HTTPStatus.OK, wire.content_answer(name, content), _OCTETS)
            case "/release":
                done = await holder.release(asked.id, asked.reach, asked.by)
                return _Said(HTTPStatus.OK, wire.release_answer(name, done))
        mail = await holder.delete(asked.id, asked.reach, asked.by)
        return _Said(HTTPStatus.OK, wire.mail_answer(name, mail))


def _error(status: HTTPStatus, text: str) -> _Said:
    return _Said(status, json.dumps({"error": text}).encode() + b"\n")
