"""Delivery of one message to the recipients of one mail store, on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from delivery.peer import PeerConnection, connected
from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.errors import PeerError
from delivery.protocols.lmtp_client import (
    LmtpTransaction,
    ReadyForContent,
    RecipientAnswered,
    TransactionDone,
)
from delivery.protocols.store_reply import StoreReply
from gatepost.listen import SocketAddress


class StoreDelivery:
    """One delivery; `answer(number, reply)` is called once for each recipient that has a reply.

    `timeout` is the time in seconds for each step.
    """

    def __init__(
        self,
        address: SocketAddress,
        timeout: float,
        transaction: LmtpTransaction,
        answer: Callable[[int, StoreReply], None],
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._transaction = transaction
        self._answer = answer
        self._is_broken = False

    async def run(self, parts: Iterable[bytes]) -> None:
        """Deliver; raises `PeerError` with recipients unanswered if the store fails."""
        try:
            async with asyncio.timeout(self._timeout) as limit, connected(self._address) as peer:
                await self._converse(peer, parts, limit)
        except TimeoutError:
            raise PeerError(f"no progress within {self._timeout:g} s") from None
        except OSError as error:
            raise PeerError(error.strerror or str(error)) from None

    async def _converse(
        self, peer: PeerConnection, parts: Iterable[bytes], limit: asyncio.Timeout
    ) -> None:
        transaction = self._transaction
        loop = asyncio.get_running_loop()
        while True:
            limit.reschedule(loop.time() + self._timeout)
            event = transaction.next_event()
            if data := transaction.data_to_send():
                if isinstance(event, TransactionDone):
                    # a store that has answered everybody may be gone already
                    await asyncio.gather(peer.send(data), return_exceptions=True)
                else:
                    await peer.send(data)
            match event:
                case None:
                    received = await peer.receive()
                    if not received:
                        raise PeerError("it closed the connection")
                    transaction.receive_data(received)
                case ReadyForContent():
                    await self._send_content(peer, parts, limit)
                case RecipientAnswered(number, reply):
                    # nobody can have stored content that was not complete
                    if not self._is_broken or not reply.is_success:
                        self._answer(number, reply)
                case TransactionDone():
                    return

    async def _send_content(
        self, peer: PeerConnection, parts: Iterable[bytes], limit: asyncio.Timeout
    ) -> None:
        """Send the content. A store that takes no more may have said why, which is read next."""
        loop = asyncio.get_running_loop()
        try:
            for part in parts:
                if data := self._transaction.content(part):
                    await peer.send(data)
                    limit.reschedule(loop.time() + self._timeout)
            await peer.send(self._transaction.content_end())
        except OSError:
            self._is_broken = True
            self._transaction.content_end()


async def deliver(
    address: SocketAddress,
    timeout: float,
    hello: str,
    envelope: LmtpEnvelope,
    parts: Iterable[bytes],
    answer: Callable[[int, StoreReply], None],
) -> None:
    """Deliver a message; see `StoreDelivery`."""
    await StoreDelivery(address, timeout, LmtpTransaction(hello, envelope), answer).run(parts)
