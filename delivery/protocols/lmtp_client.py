"""LMTP, the client side (RFC 2033): one message for the recipients of one store.

The envelope is sent at once where the server has PIPELINING (RFC 2920). DATA is only sent when a
recipient was accepted, so a server never waits for content that nobody gets.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final, NamedTuple

from delivery.protocols.dots import DotWriter
from delivery.protocols.envelope import LmtpEnvelope
from delivery.protocols.store_reply import ReplyReader, StoreReply
from gatepost.peer.errors import PeerError

QUIT: Final = b"QUIT\r\n"

_NEEDS_UTF8: Final = StoreReply(
    553, "5.6.7", "The mail store does not take addresses beyond US-ASCII"
)


class ReadyForContent(NamedTuple):
    """The server waits for the content, which `content()` and `content_end()` encode."""


class RecipientAnswered(NamedTuple):
    """The answer to one recipient, by its number in the envelope."""

    number: int
    reply: StoreReply


class TransactionDone(NamedTuple):
    """Every recipient has its answer."""


StoreEvent = ReadyForContent | RecipientAnswered | TransactionDone


class _Step(Enum):
    GREETING = auto()
    LHLO = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    CONTENT = auto()
    ANSWERS = auto()
    DONE = auto()


class LmtpTransaction:
    """One message on a new connection, or on one whose server has told its `extensions` before.

    `hello` is our name.
    """

    def __init__(
        self, hello: str, envelope: LmtpEnvelope, extensions: frozenset[str] | None = None
    ) -> None:
        self._hello = hello
        self._envelope = envelope
        self._replies = ReplyReader()
        self._step = _Step.GREETING
        self._to_send = bytearray()
        self._events: deque[StoreEvent] = deque()
        self._unanswered = list(range(len(envelope.recipients)))  # to RCPT, in order
        self._accepted: list[int] = []
        self._batch: list[bytes] = []
        self._has_pipelining = False
        self._dots = DotWriter()
        self.extensions: frozenset[str] = extensions or frozenset()
        """The extensions of the server, once it has told them."""
        self.is_reusable = False
        """Return whether another message may follow on the connection after `TransactionDone`."""
        if extensions is not None:
            self._begin()

    @property
    def is_over(self) -> bool:
        """Return whether every recipient has its answer."""
        return self._step is _Step.DONE

    def data_to_send(self) -> bytes:
        """Return the octets that are to be sent now; a second call returns none of them."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._replies.receive_data(data)

    def next_event(self) -> StoreEvent | None:
        """Return what comes next, or None when more octets are needed; raises `PeerError`."""
        while not self._events:
            if self._step in (_Step.CONTENT, _Step.DONE):
                return None  # early replies wait
            read = self._replies.next_reply()
            if read is None:
                return None
            self._take(*read)
        return self._events.popleft()

    def content(self, data: bytes) -> bytes:
        """Return some content as it is sent."""
        return self._dots.write(data)

    def content_end(self) -> bytes:
        """Return the end of the content; the answers follow."""
        self._step = _Step.ANSWERS
        return self._dots.end()

    def _take(self, reply: StoreReply, texts: tuple[str, ...]) -> None:
        match self._step:
            case _Step.GREETING:
                self._expect(reply, 220, "its greeting")
                self._send(b"LHLO %b\r\n" % self._hello.encode("ascii"))
                self._step = _Step.LHLO
            case _Step.LHLO:
                self._expect(reply, 250, "LHLO")
                words = (text.upper().partition(" ")[0] for text in texts[1:])
                self.extensions = frozenset(words)
                self._begin()
            case _Step.MAIL:
                self._mail_answered(reply)
            case _Step.RCPT:
                self._rcpt_answered(reply)
            case _Step.DATA:
                self._data_answered(reply)
            case _:
                self._final(reply)

    def _expect(self, reply: StoreReply, code: int, what: str) -> None:
        # a refusal here is about us or the store, and never about a message
        if reply.code != code:
            raise PeerError(f"{what} is answered with {reply}")

    def _begin(self) -> None:
        envelope, extensions = self._envelope, self.extensions
        is_ascii = "".join((envelope.sender, *envelope.recipients)).isascii()
        if envelope.smtputf8 and "SMTPUTF8" not in extensions and not is_ascii:
            # RFC 6531 section 3.5; a header in UTF-8 alone is kept by any store
            self._refuse_all(_NEEDS_UTF8)
            return
        self._has_pipelining = "PIPELINING" in extensions
        words = [f"MAIL FROM:<{envelope.sender}>"]
        if envelope.body and "8BITMIME" in extensions:
            words.append(f"BODY={envelope.body}")
        if envelope.smtputf8 and "SMTPUTF8" in extensions:
            words.append("SMTPUTF8")
        if envelope.size and "SIZE" in extensions:
            words.append(f"SIZE={envelope.size}")
        lines = [" ".join(words), *(f"RCPT TO:<{one}>" for one in envelope.recipients)]
        self._batch = [f"{line}\r\n".encode() for line in lines]
        self._step = _Step.MAIL
        self._send_next()

    def _send_next(self) -> None:
        """Send the next command, or all that are left if they may be pipelined."""
        count = len(self._batch) if self._has_pipelining else 1
        self._send(b"".join(self._batch[:count]))
        del self._batch[:count]

    def _mail_answered(self, reply: StoreReply) -> None:
        if not reply.is_success:
            self._refuse_all(reply)
            return
        self._step = _Step.RCPT
        self._send_next()

    def _rcpt_answered(self, reply: StoreReply) -> None:
        number = self._unanswered.pop(0)
        if reply.is_success:
            self._accepted.append(number)
        else:
            self._answer(number, reply)
        if self._unanswered:
            self._send_next()
        elif self._accepted:
            self._step = _Step.DATA
            self._send(b"DATA\r\n")
        else:
            self._finish()

    def _data_answered(self, reply: StoreReply) -> None:
        if reply.code == 354:
            self._step = _Step.CONTENT
            self._events.append(ReadyForContent())
            return
        if reply.is_success:
            raise PeerError(f"DATA is answered with {reply}")
        for number in self._accepted:
            self._answer(number, reply)
        self._finish()

    def _final(self, reply: StoreReply) -> None:
        # RFC 2033 section 4.2: one reply for each accepted recipient, in their order
        self._answer(self._accepted.pop(0), reply)
        if not self._accepted:
            # a transaction that ended before its content would have to be reset
            self.is_reusable = True
            self._finish()

    def _answer(self, number: int, reply: StoreReply) -> None:
        if not reply.is_success and reply.code < 400:
            raise PeerError(f"a recipient is answered with {reply}")
        self._events.append(RecipientAnswered(number, reply))

    def _refuse_all(self, reply: StoreReply) -> None:
        for number in range(len(self._envelope.recipients)):
            self._answer(number, reply)
        self._finish()

    def _finish(self) -> None:
        self._step = _Step.DONE
        self._events.append(TransactionDone())

    def _send(self, data: bytes) -> None:
        self._to_send += data
