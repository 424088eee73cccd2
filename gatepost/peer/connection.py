"""Connection to a peer, such as a scanner or a store, on the event loop.

Reading and writing do not depend on one another: an answer is read although the peer takes nothing
more. Sockets are used without a transport, which would drop what was received after a failed write.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

from gatepost.listen import Inet, SocketAddress
from gatepost.peer.answer_reader import AnswerReader
from gatepost.peer.errors import PeerError

T = TypeVar("T")

READ_SIZE = 16 * 1024


class PeerConnection:
    """An open connection."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send octets; raises `OSError`."""
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """Return some octets, none at the end; raises `OSError`."""
        return await self._loop.sock_recv(self._socket, READ_SIZE)

    @property
    def is_silent(self) -> bool:
        """Return whether the peer has sent nothing, and has not closed."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def close(self, last: bytes = b"") -> None:
        """Close, after a last word if the peer takes it at once."""
        with contextlib.suppress(OSError):
            self._socket.send(last)
        self._socket.close()


async def connect(address: SocketAddress) -> PeerConnection:
    """Connect; raises `OSError`."""
    loop = asyncio.get_running_loop()
    family, target = await _resolve(address)
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        if family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(opened, target)
    except BaseException:
        opened.close()
        raise
    return PeerConnection(opened)


@contextlib.asynccontextmanager
async def connected(address: SocketAddress) -> AsyncIterator[PeerConnection]:
    """Connect, and close at the end; raises `OSError`."""
    peer = await connect(address)
    try:
        yield peer
    finally:
        peer.close()


async def ask(
    address: SocketAddress, parts: Iterable[bytes], reader: AnswerReader[T], timeout: float
) -> T:
    """Send a request and return its answer, which may come before the request is complete.

    Raises `PeerError`, also for a peer that is away or takes longer than `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout), connected(address) as peer:
            sending = asyncio.create_task(_send_all(peer, parts))
            try:
                return await _answer(peer, reader)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
    except TimeoutError:
        raise PeerError(f"no answer within {timeout:g} s") from None
    except OSError as error:
        raise PeerError(error.strerror or str(error)) from None


async def _send_all(peer: PeerConnection, parts: Iterable[bytes]) -> None:
    # a peer that takes no more has answered, or is gone: whoever reads will see
    with contextlib.suppress(OSError):
        for part in parts:
            if part:
                await peer.send(part)


async def _answer(peer: PeerConnection, reader: AnswerReader[T]) -> T:
    while True:
        data = await peer.receive()
        if data:
            reader.receive_data(data)
        else:
            reader.receive_eof()
        if (answer := reader.next_event()) is not None:
            return answer
        if not data:
            raise PeerError("it closed the connection without an answer")


async def _resolve(address: SocketAddress) -> tuple[int, str | tuple[Any, ...]]:
    """Return the family and the address of a socket."""
    if not isinstance(address, Inet):
        return socket.AF_UNIX, str(address.path)
    with contextlib.suppress(ValueError):
        version = ipaddress.ip_address(address.host).version
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        return family, (address.host, address.port)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return found[0][0], found[0][4]
