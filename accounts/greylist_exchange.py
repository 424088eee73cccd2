"""ASGI application that gives questions about the greylist to policy servers, and takes answers.

A policy server sends its answers with the request, `POST /greylist/v1/exchange`, which waits for
the next question.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

from sqlalchemy import Connection
from starlette.types import ASGIApp, Receive, Scope, Send

from accounts.directory import greylist_questions
from accounts.intake import PATIENCE, access_of_request, read_body
from accounts.snapshots.access import Access, Tokens
from accounts.store.database import Database
from accounts.store.errors import DatastoreError
from gatepost.greylist_exchange import (
    MAX_OCTETS,
    MEDIA_TYPE,
    PATH,
    ExchangeError,
    ExchangeRequest,
    GreylistAnswer,
    GreylistQuestion,
    decode_request,
    encode_questions,
)
from gatepost.logs import get_logger

LOOK: Final = 0.5
"""Seconds between two looks for questions: another process may have written them."""
MAX_WAITING: Final = 64
"""Policy servers that may wait at the same time."""

log = get_logger("accounts")


class GreylistExchangeServer:
    """The application. `tokens()` returns the tokens in use; `rest` answers other requests."""

    def __init__(
        self,
        database: Database,
        tokens: Callable[[], Tokens],
        rest: ASGIApp,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._rest = rest
        self._clock = clock
        self._users = frozenset({0, os.geteuid()})
        self._waiting = 0
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Answer the waiting requests now, and let no other request wait."""
        self._ended.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._rest(scope, receive, send)
            return
        try:
            found = await self._answer(scope, receive)
        except DatastoreError:
            found = HTTPStatus.SERVICE_UNAVAILABLE  # the vitals log it
        except Exception:  # a mistake of ours; uvicorn's log, which would have it, is off
            log.exception("a mistake in the exchange about the greylist")
            found = HTTPStatus.INTERNAL_SERVER_ERROR
        if found is None:
            return
        status, body = (found, b"") if isinstance(found, HTTPStatus) else (HTTPStatus.OK, found)
        fields = [(b"content-length", b"%d" % len(body)), (b"content-type", MEDIA_TYPE.encode())]
        await send({"type": "http.response.start", "status": status.value, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> HTTPStatus | bytes | None:
        """Return the status or the body of an answer; None if the client has gone."""
        if scope["method"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        if access_of_request(scope, self._tokens(), self._users) is Access.NOTHING:
            return HTTPStatus.UNAUTHORIZED
        if self._waiting >= MAX_WAITING:
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._waiting += 1
        try:
            try:
                async with asyncio.timeout(PATIENCE):
                    body = await read_body(receive, MAX_OCTETS)
            except TimeoutError:
                return HTTPStatus.REQUEST_TIMEOUT
            if body is None:
                return None
            if len(body) > MAX_OCTETS:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            try:
                request = decode_request(body)
            except ExchangeError:
                return HTTPStatus.BAD_REQUEST
            return encode_questions(await self._exchange(request, receive))
        finally:
            self._waiting -= 1

    async def _exchange(self, request: ExchangeRequest, receive: Receive) -> list[GreylistQuestion]:
        for answer in request.answers:
            # each in the name of who sends it
            given = answer._replace(instance=request.instance)
            await self._database.record(partial(_keep, given))
        leaving = asyncio.ensure_future(_until_gone(receive))
        end = time.monotonic() + request.wait
        try:
            while True:
                found = await self._database.read(
                    partial(_open, request.instance, int(self._clock()))
                )
                left = end - time.monotonic()
                if found or left <= 0 or leaving.done() or self._ended.is_set():
                    return found
                waiting = asyncio.ensure_future(self._ended.wait())
                await asyncio.wait(
                    (waiting, leaving),
                    timeout=min(LOOK, left),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waiting.cancel()
        finally:
            leaving.cancel()


def _open(instance: str, now: int, connection: Connection) -> list[GreylistQuestion]:
    return greylist_questions.find_open(connection, instance, now)


def _keep(given: GreylistAnswer, connection: Connection) -> None:
    greylist_questions.answer(connection, given)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
