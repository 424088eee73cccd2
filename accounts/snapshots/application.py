"""ASGI application that answers `GET /snapshots/v1/NAME`.

A request names the tag of the client's snapshot in If-None-Match (RFC 9110 section 13.1.2), and its
waiting time in `?wait=SECONDS`. The answer is the snapshot, or 304 if it has not changed until
then.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from accounts.snapshots.access import Tokens, access_of
from accounts.snapshots.contents import CONTENTS
from accounts.snapshots.counts import ANSWERS
from accounts.snapshots.history import History
from accounts.snapshots.making import MadeSnapshot
from accounts.snapshots.shelf import SnapshotShelf
from accounts.store.errors import DatastoreError
from gatepost.logs import get_logger
from gatepost.snapshots.form import GENERATION_FIELD, LINEAGE_FIELD, MEDIA_TYPE

PREFIX = "/snapshots/v1/"
MAX_WAIT = 55.0
"""Seconds that a request may wait; proxies give up after 60."""
MAX_WAITING = 256
"""Maximum number of waiting requests; a daemon has one for each of its snapshots."""
WARN_INTERVAL = 60.0
"""Seconds between two lines in the log about wrong tokens."""

log = get_logger("accounts")


class SnapshotApplication:
    """The application; `tokens()` returns the tokens in use."""

    def __init__(self, shelf: SnapshotShelf, tokens: Callable[[], Tokens]) -> None:
        self._shelf = shelf
        self._tokens = tokens
        self._users = frozenset({0, os.geteuid()})
        self._waiting = 0
        self._ended = asyncio.Event()
        self._warn_at = 0.0

    def end(self) -> None:
        """Answer the waiting requests now, and let no other request wait."""
        self._ended.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        name = scope["path"].removeprefix(PREFIX) if scope["path"].startswith(PREFIX) else ""
        if name not in CONTENTS:
            await self._refuse(send, "", HTTPStatus.NOT_FOUND)
            return
        if scope["method"] != "GET":
            await self._refuse(send, name, HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"GET"))
            return
        fields = dict(scope["headers"])
        access = access_of(fields.get(b"authorization"), _peer(scope), self._tokens(), self._users)
        if not access.allows(name):
            self._warn(name, scope)
            await self._refuse(
                send, name, HTTPStatus.UNAUTHORIZED, (b"www-authenticate", b"Bearer")
            )
            return
        wait = _wait_of(scope["query_string"])
        if wait is None:
            await self._refuse(send, name, HTTPStatus.BAD_REQUEST)
            return
        if self._waiting >= MAX_WAITING:
            await self._refuse(send, name, HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", b"5"))
            return
        tag = fields.get(b"if-none-match", b"").strip().strip(b'"').decode("latin-1")
        try:
            found = await self._ask(name, tag, wait, receive)
        except DatastoreError as error:
            log.warning("a snapshot cannot be sent", snapshot=name, error=str(error))
            await self._refuse(send, name, HTTPStatus.SERVICE_UNAVAILABLE, (b"retry-after", b"5"))
            return
        except Exception:  # a mistake of ours; uvicorn's log, which would have it, is off
            log.exception("a mistake in a snapshot", snapshot=name)
            await self._refuse(send, name, HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if found is not None:
            is_packed = b"gzip" in fields.get(b"accept-encoding", b"")
            await self._answer(send, *found, tag, is_packed)

    async def _ask(
        self, name: str, tag: str, wait: float, receive: Receive
    ) -> tuple[MadeSnapshot, History] | None:
        """Return the snapshot; None if the client has gone."""
        self._waiting += 1
        asking = asyncio.ensure_future(self._shelf.wait(name, tag, wait, self._ended))
        leaving = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            self._waiting -= 1
            for task in (asking, leaving):
                task.cancel()
            await asyncio.gather(asking, leaving, return_exceptions=True)

    async def _answer(
        self, send: Send, made: MadeSnapshot, history: History, tag: str, is_packed: bool
    ) -> None:
        headers = [
            (b"cache-control", b"no-store"),
            (b"etag", f'"{made.tag}"'.encode()),
            (GENERATION_FIELD.lower().encode(), b"%d" % history.generation),
            (LINEAGE_FIELD.lower().encode(), history.lineage.encode()),
        ]
        if made.tag == tag:
            await self._send(send, made.name, HTTPStatus.NOT_MODIFIED, headers)
            return
        headers.append((b"content-type", MEDIA_TYPE.encode()))
        if is_packed:
            headers.append((b"content-encoding", b"gzip"))
        ANSWERS.labels(made.name, "200").inc()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in made.packed if is_packed else _unpacked(made):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(
        self, send: Send, name: str, status: HTTPStatus, *headers: tuple[bytes, bytes]
    ) -> None:
        await self._send(send, name, status, [(b"content-length", b"0"), *headers])

    async def _send(
        self, send: Send, name: str, status: HTTPStatus, headers: list[tuple[bytes, bytes]]
    ) -> None:
        ANSWERS.labels(name or "none", str(status.value)).inc()
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _warn(self, name: str, scope: Scope) -> None:
        now = time.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + WARN_INTERVAL
            client = scope.get("client")
            shown = "unix socket" if client is None else f"{client[0]} {client[1]}"
            log.warning("a snapshot was refused: no token for it", snapshot=name, client=shown)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _peer(scope: Scope) -> int | None:
    """Return the uid at the other end of a unix socket, as `HttpServer` tells it."""
    client = scope.get("client")
    return client[1] if client is not None and client[0] == "uid" else None


def _wait_of(query: bytes) -> float | None:
    """Return the seconds to wait; None if the text is not a valid number."""
    try:
        fields = parse_qs(query.decode("latin-1"), max_num_fields=10)
    except ValueError:
        return None
    text = fields.get("wait", ["0"])[-1]
    if not text.isascii() or not text.replace(".", "", 1).isdecimal() or len(text) > 10:
        return None
    return min(float(text), MAX_WAIT)


def _unpacked(made: MadeSnapshot) -> Iterator[bytes]:
    unpack = zlib.decompressobj(31)
    for part in made.packed:
        yield unpack.decompress(part)
