"""Client of a holder: one request on a connection of its own."""

from __future__ import annotations

from http import HTTPStatus

import h11

from gatepost.listen import SocketAddress
from gatepost.peer.connection import ask
from gatepost.peer.errors import PeerError
from gatepost.quarantine import wire
from gatepost.quarantine.holder import HeldByOthersError, HolderError, NotHeldError


class HolderAwayError(HolderError):
    """The holder does not answer, or not as a holder does: it is not known what it did."""


async def ask_holder(
    address: SocketAddress, token: bytes, path: str, request: wire.HolderRequest, timeout: float
) -> bytes:
    """Return the body of an answer within `timeout` seconds; raises `HolderError`.

    An answer has no more octets of a mail than the request wants: many holders are asked at once.
    """
    body = bytes(request)
    fields = [("Host", "quarantine"), ("Content-Length", str(len(body)))]
    if token:
        fields.append(("Authorization", f"Bearer {token.decode('ascii')}"))
    http = h11.Connection(h11.CLIENT)
    head = http.send(h11.Request(method="POST", target=path, headers=fields)) or b""
    http.send(h11.Data(data=body))
    http.send(h11.EndOfMessage())
    reader = _AnswerReader(http, wire.MAX_ANSWER + request.most)
    try:
        status, octets = await ask(address, (head, body), reader, timeout)
    except PeerError as error:
        raise HolderAwayError(str(error)) from None
    if status == HTTPStatus.OK:
        return octets
    text = wire.read_error(octets)
    match status:
        case HTTPStatus.NOT_FOUND:
            raise NotHeldError(text)
        case HTTPStatus.FORBIDDEN:
            raise HeldByOthersError(text)
        case HTTPStatus.SERVICE_UNAVAILABLE if text:
            raise HolderError(text)
        case HTTPStatus.UNAUTHORIZED:
            raise HolderAwayError("it refuses our token")
    raise HolderAwayError(f"it answers {status} {text}".strip())


class _AnswerReader:
    """Reader of one answer; the event is its status with its body."""

    def __init__(self, http: h11.Connection, most: int) -> None:
        self._http = http
        self._most = most
        self._status = 0
        self._body = bytearray()

    def receive_data(self, data: bytes) -> None:
        """Take octets; raises `PeerError`."""
        self._http.receive_data(data)

    def receive_eof(self) -> None:
        """Take the end of the connection."""
        self._http.receive_data(b"")

    def next_event(self) -> tuple[int, bytes] | None:
        """Return the answer once it is complete; raises `PeerError`."""
        try:
            while True:
                event = self._http.next_event()
                match event:
                    case h11.Response():
                        self._status = event.status_code
                    case h11.Data():
                        self._body += event.data
                        if len(self._body) > self._most:
                            raise PeerError(f"an answer of more than {self._most} octets")
                    case h11.EndOfMessage():
                        return self._status, bytes(self._body)
                    case h11.ConnectionClosed():
                        raise PeerError("it closed the connection without an answer")
                    case _ if event is h11.NEED_DATA or event is h11.PAUSED:
                        return None
        except h11.RemoteProtocolError as error:
            raise PeerError(f"it does not speak HTTP: {error}") from None
