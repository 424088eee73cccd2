"""HTTP/1.1 of a small service of a daemon: one connection, and its requests one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from http import HTTPStatus
from typing import Final

import h11

from gatepost.peer.connection import PeerConnection

MAX_HEAD: Final = 8192
"""Octets of the head of a request."""
IDLE: Final = 60.0
"""Seconds until a connection without a request is closed."""
ARRIVAL: Final = 120.0
"""Seconds for a request to arrive."""
WRITING: Final = 10.0
"""Seconds for a client to read its answer."""


class ServedHttp:
    """HTTP/1.1 on a connection that a client has opened (RFC 9112)."""

    def __init__(self, client: PeerConnection, writing: float = WRITING) -> None:
        self._client = client
        self._writing = writing
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

    async def reply(self, status: HTTPStatus, octets: bytes, media_type: str) -> None:
        """Send an answer."""
        headers = [
            ("Content-Type", media_type),
            ("Content-Length", str(len(octets))),
            ("Cache-Control", "no-store"),
        ]
        # the rest of a request that was not read is not looked for
        if self._http.their_state not in (h11.DONE, h11.MUST_CLOSE):
            headers.append(("Connection", "close"))
        response = h11.Response(status_code=status, headers=headers)
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
        async with asyncio.timeout(self._writing):
            await self._client.send(data)


def has_token(request: h11.Request, token: bytes) -> bool:
    """Return whether a request has the token of the service."""
    given = [value for name, value in request.headers if name == b"authorization"]
    # RFC 6750 section 2.1
    return len(given) == 1 and hmac.compare_digest(given[0], b"Bearer " + token)
