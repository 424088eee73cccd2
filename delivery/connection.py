"""Connection of one LMTP client: it reads commands and content, and answers recipients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from delivery.answers import RecipientAnswers
from delivery.arrived import ArrivedMessage
from delivery.counts import ABANDONED, MALFORMED, MESSAGES, SPOOLED
from delivery.journal import journal_note
from delivery.message_delivery import DeliveryRules, MessageDelivery
from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.lmtp_server import ContentEnd, ContentPart, Goodbye, LmtpServer
from delivery.reasons import INTERNAL, OUT_OF_TIME
from gatepost.conversation import Answered, StreamError
from gatepost.journal.sender import JournalSender
from gatepost.spool import Spool

READ_SIZE: Final = 64 * 1024
"""Octets that are read at once. Nothing more is read while they are worked on."""


class ConnectionOwner(Protocol):
    """The server of a connection."""

    @property
    def draining(self) -> bool:
        """True once the daemon stops: connections end after the message in progress."""

    @property
    def journal(self) -> JournalSender | None:
        """The journal of decisions, if there is one."""

    def rules(self) -> DeliveryRules:
        """Return the rules in use now."""


class LmtpConnection:
    """One connection; `run()` ends with it."""

    def __init__(
        self, owner: ConnectionOwner, accepted: socket.socket, log: FilteringBoundLogger
    ) -> None:
        self._owner = owner
        self._socket = accepted
        self._log = log
        self._loop = asyncio.get_running_loop()
        rules = owner.rules()
        self._rules = rules
        self._protocol = LmtpServer(
            rules.hostname, rules.settings.max_size, rules.settings.max_recipients
        )
        self._out = bytearray()
        self._message: ArrivedMessage | None = None
        self._content_began = 0.0
        self._is_busy = False
        self.heard = self._loop.time()
        """When the last octet came."""

    @property
    def is_idle(self) -> bool:
        """Return whether no message would be disturbed by the end of the connection."""
        return not self._is_busy and not self._protocol.in_content

    async def run(self) -> None:
        """Serve the client until it goes; never raises but for being cancelled."""
        try:
            self._out += self._protocol.greeting
            while await self._step():
                pass
            await self._flush()
        except StreamError as error:
            self._complain(str(error))
        except (OSError, TimeoutError):
            pass  # it is gone, or does not read
        except Exception:  # a mistake of ours costs this connection: the client tries again
            self._log.exception("a connection could not be served")
        finally:
            self._forget_message()

    async def _step(self) -> bool:
        """Do what comes next; returns False at the end."""
        event = self._protocol.next_event()
        match event:
            case None:
                return await self._read()
            case Answered(reply, complaint):
                self._out += reply
                if complaint:
                    self._complain(complaint)
                if len(self._out) > READ_SIZE:
                    await self._flush()
            case ContentPart(data):
                self._content().write(data)
            case ContentEnd(envelope):
                return await self._finish(self._content(), envelope)
            case Goodbye(reply):
                self._out += reply
                return False
        return True

    async def _read(self) -> bool:
        await self._flush()
        if self._owner.draining and self.is_idle:
            return False
        settings = self._rules.settings
        limit = settings.idle_timeout
        if self._protocol.in_content:
            self._content()
            left = self._content_began + settings.receive_timeout - self._loop.time()
            limit = min(limit, left)
        try:
            async with asyncio.timeout(max(0.0, limit)):
                data = await self._loop.sock_recv(self._socket, READ_SIZE)
        except TimeoutError:
            if self._protocol.in_content:
                ABANDONED.inc()
                self._complain("the content does not come to an end")
            return False
        if not data:
            if self._protocol.in_content:
                ABANDONED.inc()
            return False
        self.heard = self._loop.time()
        self._protocol.receive_data(data)
        return True

    async def _flush(self) -> None:
        if self._out:
            data = bytes(self._out)
            self._out.clear()
            async with asyncio.timeout(self._rules.settings.idle_timeout):
                await self._loop.sock_sendall(self._socket, data)

    def _content(self) -> ArrivedMessage:
        """Return the message that is arriving; it begins with the rules of this moment."""
        if self._message is None:
            self._rules = self._owner.rules()
            settings = self._rules.settings
            spool = Spool(settings.spool_folder, settings.memory_size, SPOOLED.add)
            self._message = ArrivedMessage(
                spool, settings.max_size, keeps_virus_status=not settings.virus.enabled
            )
            self._content_began = self._loop.time()
        return self._message

    async def _finish(self, message: ArrivedMessage, envelope: LmtpEnvelope) -> bool:
        """Deliver the message and answer its recipients; returns False if the client is gone."""
        self._is_busy = True
        try:
            message.finish()
            MESSAGES.inc()
            log = self._log.bind(
                queue_id=message.queue_id, sender=envelope.sender, size=message.received
            )
            note = None
            if (journal := self._owner.journal) is not None:
                note = journal_note(journal, message.queue_id, envelope.sender, message.received)
            answers = RecipientAnswers(envelope.recipients, log, time.monotonic, note)
            delivering = self._loop.create_task(self._deliver(message, envelope, answers))
            answering = self._loop.create_task(self._answer(answers))
            with self._client_watched(delivering.cancel):
                try:
                    await asyncio.gather(delivering, answering)
                finally:
                    delivering.cancel()
                    answering.cancel()
                    await asyncio.gather(delivering, answering, return_exceptions=True)
        except asyncio.CancelledError:
            ABANDONED.inc()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._log.info(
                "client gone", queue_id=message.queue_id, unanswered=len(answers.missing)
            )
            return False
        finally:
            self._is_busy = False
            self._forget_message()
        self._protocol.resume()
        self.heard = self._loop.time()
        return True

    async def _deliver(
        self, message: ArrivedMessage, envelope: LmtpEnvelope, answers: RecipientAnswers
    ) -> None:
        """Deliver within the budget; afterwards every recipient has an answer."""
        reason = INTERNAL
        try:
            async with asyncio.timeout(self._rules.settings.budget):
                await MessageDelivery(self._rules, message, envelope, answers).run()
        except TimeoutError:
            reason = OUT_OF_TIME
        except Exception:  # a mistake of ours must not lose mail
            self._log.exception("a message could not be delivered", queue_id=message.queue_id)
        answers.refuse(answers.missing, reason)

    async def _answer(self, answers: RecipientAnswers) -> None:
        """Write the answers in order, several at once if they are there."""
        async for replies in answers.in_order():
            self._out += replies
            await self._flush()

    @contextlib.contextmanager
    def _client_watched(self, gone: Callable[[], object]) -> Iterator[None]:
        """Call `gone` when the client closes its side. Octets that come stay in the socket."""
        descriptor = self._socket.fileno()

        def look() -> None:
            try:
                is_there = bool(self._socket.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                return
            except OSError:
                is_there = False
            self._loop.remove_reader(descriptor)
            if not is_there:
                gone()

        self._loop.add_reader(descriptor, look)
        try:
            yield
        finally:
            self._loop.remove_reader(descriptor)

    def _forget_message(self) -> None:
        if self._message is not None:
            self._message.close()
            self._message = None

    def _complain(self, what: str) -> None:
        MALFORMED.inc()
        self._log.debug("client complaint", what=what)
