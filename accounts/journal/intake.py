"""ASGI application that takes records: `POST /journal/v1/records`, a JSON object in each line.

The sender needs a token for snapshots, or is a trusted user at the other end of a unix socket. The
answer is 204 once the records are written. Everything else goes on to another application.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.journal.counts import REFUSED
from accounts.journal.journal import MailJournal
from accounts.snapshots.access import Access, Tokens, access_of
from accounts.store.errors import DatastoreError
from gatepost.journal.record import JournalRecord, RecordError, decode
from gatepost.logs import get_logger

PATH: Final = "/journal/v1/records"
MAX_BODY: Final = 512 << 10
"""Octets of a request; the daemons send half as many."""
MAX_BUSY: Final = 8
"""Requests that are written at the same time; the others try again."""
PATIENCE: Final = 30.0
"""Seconds in which the body of a request has to arrive."""
TELL_AGAIN: Final = 600.0
"""Seconds until a continuing failure is logged again."""

log = get_logger("accounts")


class JournalIntake:
    """The application. `tokens()` returns the tokens in use; `rest` answers other requests."""

    def __init__(self, journal: MailJournal, tokens: Callable[[], Tokens], rest: ASGIApp) -> None:
        self._journal = journal
        self._tokens = tokens
        self._rest = rest
        self._users = frozenset({0, os.geteuid()})
        self._busy = 0
        self._told = -TELL_AGAIN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != PATH:
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
        client = scope.get("client")
        peer = client[1] if client is not None and client[0] == "uid" else None
        authorization = dict(scope["headers"]).get(b"authorization")
        if access_of(authorization, peer, self._tokens(), self._users) is Access.NOTHING:
            REFUSED.labels("token").inc()
            return HTTPStatus.UNAUTHORIZED
        if not self._journal.days:
            return HTTPStatus.GONE
        if self._busy >= MAX_BUSY:
            REFUSED.labels("busy").inc()
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._busy += 1
        try:
            return await self._take(receive)
        finally:
            self._busy -= 1

    async def _take(self, receive: Receive) -> HTTPStatus | None:
        try:
            # a daemon that was stopped in the middle must not keep the others out
            async with asyncio.timeout(PATIENCE):
                body = await _read(receive)
        except TimeoutError:
            REFUSED.labels("slow").inc()
            return HTTPStatus.REQUEST_TIMEOUT
        if body is None:
            return None
        if len(body) > MAX_BODY:
            REFUSED.labels("form").inc()
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        records: list[JournalRecord] = []
        for line in body.split(b"\n"):
            if not line:
                continue
            try:
                records.append(decode(line))
            except RecordError:
                # of a later version, perhaps; the others are good
                REFUSED.labels("form").inc()
        try:
            await self._journal.add(records)
        except DatastoreError as error:
            REFUSED.labels("database").inc()
            self._tell(error)
            return HTTPStatus.SERVICE_UNAVAILABLE
        except Exception:  # a mistake of ours; uvicorn's log, which would have it, is off
            log.exception("a mistake in the journal")
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return HTTPStatus.NO_CONTENT

    def _tell(self, error: DatastoreError) -> None:
        now = time.monotonic()
        if now - self._told >= TELL_AGAIN:
            self._told = now
            log.warning("decisions are not kept", error=str(error))


async def _read(receive: Receive) -> bytes | None:
    """Return the body, or more than `MAX_BODY` octets of it; None if the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY or not message.get("more_body", False):
            return bytes(body)
