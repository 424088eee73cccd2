"""Intake of what daemons send to accounts: one path of the listener for snapshots, by POST.

The sender needs a token for snapshots, or is a trusted user at the other end of a unix socket.
Everything else goes on to another application.
"""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.snapshots.access import Access, Tokens, access_of
from accounts.store.errors import DatastoreError
from gatepost.logs import get_logger

MAX_BUSY: Final = 8
"""Requests to one path that are worked on at the same time; the others try again."""
PATIENCE: Final = 30.0
"""Seconds in which the body of a request has to arrive."""
TELL_AGAIN: Final = 600.0
"""Seconds until a continuing failure is logged again."""

log = get_logger("accounts")


class PostIntake(ABC):
    """The application. `tokens()` returns the tokens in use; `rest` answers other requests."""

    path: str
    max_body: int
    """Octets of a request."""

    def __init__(self, tokens: Callable[[], Tokens], rest: ASGIApp) -> None:
        self._tokens = tokens
        self._rest = rest
        self._users = frozenset({0, os.geteuid()})
        self._busy = 0
        self._told = -TELL_AGAIN

    @property
    def is_off(self) -> bool:
        """Return whether nothing is taken at present; the answer is then 410."""
        return False

    @abstractmethod
    async def take(self, body: bytes) -> HTTPStatus:
        """Take a body and return the status of the answer; raises `DatastoreError`."""

    def refused(self, why: str) -> None:
        """Note a request that was refused; here it is only in the log of its sender."""
        del why

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != self.path:
            await self._rest(scope, receive, send)
            return
        status = await self._answer(scope, receive)
        if status is not None:
            fields = [] if status == HTTPStatus.NO_CONTENT else [(b"content-length", b"0")]
            await send({"type": "http.response.start", "status": status, "headers": fields})
            await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope, receive: Receive) -> HTTPStatus | None:
        """Return the status; None if the client has gone."""
        if scope["method"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        if access_of_request(scope, self._tokens(), self._users) is Access.NOTHING:
            self.refused("token")
            return HTTPStatus.UNAUTHORIZED
        if self.is_off:
            return HTTPStatus.GONE
        if self._busy >= MAX_BUSY:
            self.refused("busy")
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._busy += 1
        try:
            return await self._read_and_take(receive)
        finally:
            self._busy -= 1

    async def _read_and_take(self, receive: Receive) -> HTTPStatus | None:
        try:
            # a daemon that was stopped in the middle must not keep the others out
            async with asyncio.timeout(PATIENCE):
                body = await read_body(receive, self.max_body)
        except TimeoutError:
            self.refused("slow")
            return HTTPStatus.REQUEST_TIMEOUT
        if body is None:
            return None
        if len(body) > self.max_body:
            self.refused("form")
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            return await self.take(body)
        except DatastoreError as error:
            self.refused("database")
            self._tell(error)
            return HTTPStatus.SERVICE_UNAVAILABLE
        except Exception:  # a mistake of ours; uvicorn's log, which would have it, is off
            log.exception("a mistake in an intake", path=self.path)
            return HTTPStatus.INTERNAL_SERVER_ERROR

    def _tell(self, error: DatastoreError) -> None:
        now = time.monotonic()
        if now - self._told >= TELL_AGAIN:
            self._told = now
            log.warning("what daemons send is not kept", path=self.path, error=str(error))


def access_of_request(scope: Scope, tokens: Tokens, users: frozenset[int]) -> Access:
    """Return what the sender of a request may do; `users` are the uids that need no token."""
    client = scope.get("client")
    # the uid at the other end of a unix socket, as `HttpServer` tells it
    peer = client[1] if client is not None and client[0] == "uid" else None
    return access_of(dict(scope["headers"]).get(b"authorization"), peer, tokens, users)


async def read_body(receive: Receive, most: int) -> bytes | None:
    """Return the body, or more than `most` octets of it; None if the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most or not message.get("more_body", False):
            return bytes(body)
