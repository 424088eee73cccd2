"""Delivery of one message to the recipients of one mail store, on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.lmtp_client import (
    QUIT,
    LmtpTransaction,
    ReadyForContent,
    RecipientAnswered,
    TransactionDone,
)
from delivery.protocols.store_reply import StoreReply
from delivery.store_pool import StorePool
from gatepost.listen import SocketAddress
from gatepost.peer.connection import PeerConnection, connect
from gatepost.peer.errors import PeerError
from gatepost.peer.gathering import gathered


class StoreDelivery:
    """One delivery; `answer(number, reply)` is called once for each recipient that has a reply.

    `parts()` yields the content. `timeout` is the time in seconds for each step.
    """

    def __init__(
        self,
        pool: StorePool,
        address: SocketAddress,
        timeout: float,
        hello: str,
        envelope: LmtpEnvelope,
        parts: Callable[[], Iterable[bytes]],
        answer: Callable[[int, StoreReply], None],
    ) -> None:
        self._pool = pool
        self._address = address
        self._timeout = timeout
        self._hello = hello
        self._envelope = envelope
        self._parts = parts
        self._answer = answer
        self._is_heard = False  # whether the store has said anything about this message
        self._is_broken = False

    async def run(self) -> None:
        """Deliver; raises `PeerError` with recipients unanswered if the store fails.

        A connection that was idle may have ended at that moment: then the message, of which the
        store has no octet yet, goes over a new one.
        """
        idle = self._pool.take(self._address)
        if idle is not None:
            try:
                await self._attempt(*idle)
            except PeerError:
                if self._is_heard:
                    raise
            else:
                return
        await self._attempt(None, None)

    async def _attempt(
        self, peer: PeerConnection | None, extensions: frozenset[str] | None
    ) -> None:
        transaction = LmtpTransaction(self._hello, self._envelope, extensions)
        try:
            async with asyncio.timeout(self._timeout) as limit:
                if peer is None:
                    peer = await connect(self._address)
                await self._converse(peer, transaction, limit)
                if transaction.is_reusable and not self._is_broken:
                    self._pool.keep(self._address, peer, transaction.extensions)
                    peer = None
        except TimeoutError:
            raise PeerError(f"no progress within {self._timeout:g} s") from None
        except OSError as error:
            raise PeerError(error.strerror or str(error)) from None
        finally:
            if peer is not None:
                # never in the middle of content, where it would be content
                peer.close(QUIT if transaction.is_over else b"")

    async def _converse(
        self, peer: PeerConnection, transaction: LmtpTransaction, limit: asyncio.Timeout
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            event = transaction.next_event()
            if data := transaction.data_to_send():
                limit.reschedule(loop.time() + self._timeout)
                await peer.send(data)
            match event:
                case None:
                    limit.reschedule(loop.time() + self._timeout)
                    received = await peer.receive()
                    if not received:
                        raise PeerError("it closed the connection")
                    self._is_heard = True
                    transaction.receive_data(received)
                case ReadyForContent():
                    await self._send_content(peer, transaction, limit)
                case RecipientAnswered(number, reply):
                    # nobody can have stored content that was not complete
                    if not self._is_broken or not reply.is_success:
                        self._answer(number, reply)
                case TransactionDone():
                    if self._is_broken:
                        raise PeerError("it did not take the whole content")
                    return

    async def _send_content(
        self, peer: PeerConnection, transaction: LmtpTransaction, limit: asyncio.Timeout
    ) -> None:
        """Send the content. A store that takes no more may have said why, which is read next."""
        loop = asyncio.get_running_loop()
        try:
            for piece in gathered(self._content(transaction)):
                limit.reschedule(loop.time() + self._timeout)
                await peer.send(piece)
        except OSError:
            self._is_broken = True
            transaction.content_end()

    def _content(self, transaction: LmtpTransaction) -> Iterator[bytes]:
        for part in self._parts():
            yield transaction.content(part)
        yield transaction.content_end()
