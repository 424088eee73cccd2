"""Adapter between the milter protocol and a session: events in, answers out. No socket, no clock,
no DNS.

If the MTA allows it, nothing is answered before the end of a message, so that it need not wait. An
error in a message is remembered, and the message is deferred at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol

from gatepost.reply import Reply
from milters.actions import DeleteHeader, InsertHeader, MessageAction, Quarantine, Refuse
from milters.protocol import answers
from milters.protocol.answers import CONTINUE
from milters.protocol.errors import MilterProtocolError
from milters.protocol.events import (
    Abort,
    BodyChunk,
    Connect,
    Data,
    EndOfHeader,
    EndOfMessage,
    Event,
    HeaderLine,
    Helo,
    Macros,
    MailFrom,
    NextClient,
    Offer,
    Quit,
    RcptTo,
    UnknownCommand,
)
from milters.protocol.negotiation import MtaAction, Stage, Step, Terms, Wishes, agree
from milters.protocol.stream import MtaStream
from milters.session import Session

_ACTIONS: Final = (
    MtaAction.ADD_HEADERS
    | MtaAction.CHANGE_HEADERS
    | MtaAction.QUARANTINE
    | MtaAction.SET_SYMBOL_LIST
)
_REQUIRED: Final = MtaAction.ADD_HEADERS | MtaAction.CHANGE_HEADERS
"""The first is needed to add a result, the second to remove a forged one."""
_STEPS: Final = (
    Step.NO_REPLY_CONNECT
    | Step.NO_REPLY_HELO
    | Step.NO_REPLY_MAIL
    | Step.NO_REPLY_RCPT
    | Step.NO_REPLY_HEADER
    | Step.NO_REPLY_EOH
    | Step.NO_REPLY_BODY
    | Step.NO_UNKNOWN
    | Step.LEADING_SPACE
)
_MACROS: Final = {
    Stage.CONNECT: "",
    Stage.HELO: "",
    Stage.MAIL: "{auth_authen} {daemon_name}",
    Stage.RCPT: "",
    Stage.DATA: "",
    Stage.END_OF_HEADER: "",
    Stage.END_OF_MESSAGE: "i",
}
UNIX: Final = Wishes(_ACTIONS, _STEPS | Step.NO_DATA, _MACROS, _REQUIRED)
"""Over a unix socket: no answer before the end of a message."""
TCP: Final = Wishes(_ACTIONS, _STEPS, _MACROS, _REQUIRED)
"""Over TCP, DATA is answered: Postfix sends the macros of this stage in any case, and would then
wait 40 ms for our delayed TCP acknowledgement."""


class NotOfferedError(Exception):
    """The MTA has not offered an action that the message needs."""


class ConversationOwner(Protocol):
    """The interface of the worker that a conversation belongs to."""

    def failed(self, session: Session) -> Reply:
        """Log the exception being handled; returns the reply that defers the message."""


class MilterConversation:
    """One connection of an MTA.

    `advance()` processes its events until more bytes are needed or a message is complete; it then
    returns the `EndOfMessage`, and `answer()` or `refuse()` must follow before the next
    `advance()`. `take_output()` returns the data to send. `max_packet`: see `MtaStream`.
    """

    __slots__ = (
        "_answered",
        "_client_failure",
        "_failure",
        "_leading",
        "_output",
        "_service",
        "_stream",
        "_terms",
        "_wishes",
        "has_ended",
        "receive_data",
        "session",
    )

    def __init__(
        self, session: Session, service: ConversationOwner, wishes: Wishes, max_packet: int
    ) -> None:
        self.session = session
        self.has_ended = False
        """Whether the MTA has ended the connection."""
        self._service = service
        self._wishes = wishes
        self._stream = MtaStream(max_packet)
        self.receive_data = self._stream.receive_data
        self._terms: Terms | None = None
        self._answered: frozenset[type[Event]] = frozenset()
        self._leading = b""
        self._output: list[bytes] = []
        # of the current message, and of the client before it
        self._failure: Reply | None = None
        self._client_failure: Reply | None = None

    @property
    def has_more(self) -> bool:
        """Return whether `advance()` has something to do without more bytes."""
        return self._stream.has_more

    @property
    def buffered(self) -> int:
        """See `MtaStream.buffered`."""
        return self._stream.buffered

    @property
    def kept(self) -> int:
        """Octets kept for the connection itself: its buffer and macros."""
        return self._stream.buffered + self._stream.macros_kept

    @property
    def has_negotiated(self) -> bool:
        """Return whether the MTA has sent its offer."""
        return self._stream.has_negotiated

    @property
    def in_message(self) -> bool:
        """Return whether a message has begun and has neither ended nor been aborted."""
        return self._stream.in_message

    def advance(self) -> EndOfMessage | None:
        """Process the received bytes; raises `MilterProtocolError`.

        Returns the end of a message, which must be decided before anything else happens.
        """
        next_event = self._stream.next_event
        while (event := next_event()) is not None:
            kind = type(event)
            if isinstance(event, EndOfMessage):
                if self._failure is None:
                    return event
                self.session.abort()
                self.refuse(self._failure)
                self._failure = self._client_failure
                continue
            if self._failure is None or kind in _AFRESH:
                try:
                    self._HANDLERS[kind](self, event)
                except MilterProtocolError:
                    raise
                except Exception:
                    self._remember_failure()
            if kind in self._answered and not (isinstance(event, BodyChunk) and event.with_end):
                self._output.append(CONTINUE)
        return None

    def answer(self, actions: Sequence[MessageAction]) -> None:
        """Send the MTA the actions for the complete message."""
        try:
            packets = [self._packet(action) for action in actions]
        except Exception:
            self.refuse(self._service.failed(self.session))
            return
        if not (actions and isinstance(actions[-1], Refuse)):
            packets.append(CONTINUE)
        self._output += packets

    def refuse(self, reply: Reply) -> None:
        """Refuse the complete message."""
        self._output.append(answers.reply(reply.code, reply.enhanced, reply.public_text))

    def take_output(self) -> bytes:
        """Take the data to send to the MTA now."""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    def _packet(self, action: MessageAction) -> bytes:
        match action:
            case InsertHeader(name, value):
                return answers.insert_header(name, value[1:] if self._leading else value)
            case DeleteHeader(name, occurrence):
                return answers.delete_header(name, occurrence)
            case Quarantine(reason):
                self._need(MtaAction.QUARANTINE)
                return answers.quarantine(reason)
            case Refuse(reply):
                return answers.reply(reply.code, reply.enhanced, reply.public_text)

    def _need(self, action: MtaAction) -> None:
        if self._terms is None or not self._terms.actions & action:
            raise NotOfferedError(f"the MTA has not offered {action.name}")

    def _remember_failure(self) -> None:
        self._failure = self._service.failed(self.session)
        if not self._stream.in_message:
            # data about the client is then missing in all its messages
            self._client_failure = self._failure

    # One handler per event

    def _offer(self, offer: Offer) -> None:
        self._terms = terms = agree(offer, self._wishes)
        self._answered, self._leading = terms.answered, terms.leading
        self._output.append(terms.packet)

    def _connect(self, event: Connect) -> None:
        self._failure = self._client_failure = None
        self.session.connect(event.hostname, None if _is_handed_in(event) else event.address)

    def _helo(self, event: Helo) -> None:
        self.session.abort()
        self._failure = self._client_failure
        self.session.helo(event.name)

    def _mail_from(self, event: MailFrom) -> None:
        self._failure = self._client_failure
        if self._failure is None:
            login = _login(event.macros)
            daemon_name = _macro(event.macros, b"daemon_name")
            utf8 = any(word.upper() == b"SMTPUTF8" for word in event.parameters)
            self.session.mail_from(event.path, login, daemon_name, utf8=utf8)

    def _rcpt(self, event: RcptTo) -> None:
        self.session.rcpt(event.path)

    def _header(self, event: HeaderLine) -> None:
        self.session.header(event.name, self._leading + event.value)

    def _end_of_header(self, _event: EndOfHeader) -> None:
        self.session.end_of_headers()

    def _body(self, event: BodyChunk) -> None:
        self.session.body(event.octets)

    def _abort(self, _event: Abort) -> None:
        self.session.abort()
        self._failure = self._client_failure

    def _next_client(self, _event: NextClient) -> None:
        self._failure = self._client_failure = None
        self.session.connect("", "")  # unknown until the MTA sends it

    def _quit(self, _event: Quit) -> None:
        self.session.abort()
        self.has_ended = True

    def _nothing(self, _event: Data | UnknownCommand) -> None:
        pass

    _HANDLERS: ClassVar[Mapping[type[Event], Callable[[Any, Any], None]]] = {
        Offer: _offer,
        Connect: _connect,
        Helo: _helo,
        MailFrom: _mail_from,
        RcptTo: _rcpt,
        Data: _nothing,
        HeaderLine: _header,
        EndOfHeader: _end_of_header,
        BodyChunk: _body,
        Abort: _abort,
        NextClient: _next_client,
        UnknownCommand: _nothing,
        Quit: _quit,
    }


_AFRESH: Final = frozenset((Abort, Connect, Helo, MailFrom, NextClient, Offer, Quit))
"""Events that a failure of the previous message does not affect."""


def _is_handed_in(client: Connect) -> bool:
    """Return whether Postfix invented the client, for mail that did not come by SMTP."""
    return client.port == 0 and (client.hostname, client.address) in _MADE_UP


_MADE_UP: Final = frozenset({("localhost", "127.0.0.1"), ("localhost", "::1")})


def _macro(macros: Macros, name: bytes) -> str:
    try:
        return macros.get(name, b"").decode()
    except UnicodeDecodeError:
        return "?"  # set but unreadable


def _login(macros: Macros) -> str:
    # what is not UTF-8 reads as in the policy server and in the tables of owners
    return macros.get(b"auth_authen", b"").decode("utf-8", "backslashreplace")


def queue_id(end: EndOfMessage) -> str:
    """Return the MTA's queue id of the message; empty if it has not sent one."""
    return _macro(end.macros, b"i")
