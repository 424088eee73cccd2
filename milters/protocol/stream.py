"""The receiving half of a milter connection: bytes in, events out.

``receive_data()`` takes bytes from the socket, in chunks of any size; ``next_event()`` returns the
next event, or None if more bytes are needed. It raises `MilterProtocolError`, and nothing else, for
protocol violations: packets that are too long or truncated, commands that are unknown or out of
order. After that the stream cannot be used any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias

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

MAX_MACROS: Final = 100
"""Maximum macros of one packet: Postfix has some 25 in all."""
MAX_MACRO_OCTETS: Final = 32 * 1024
"""Maximum octets of the macros for one command. The longest from outside is the login, which
Postfix reads from a line of at most 12 KB."""

_LENGTH: Final = 4
_NONE: Macros = {}

_Readers: TypeAlias = dict[bytes, Callable[[Any, bytes], Event | None]]


class MtaStream:
    """The incoming stream of one connection from an MTA.

    `max_packet` is the maximum length of a packet in octets; a longer one is an error as soon as
    its length is known. Never more than that, plus the data of one `receive_data()`, is kept.
    """

    __slots__ = (
        "_bytes",
        "_client_macros",
        "_event_after",
        "_macros",
        "_macros_for",
        "_max_packet",
        "_message_macros",
        "_partial",
        "_position",
        "_readers",
        "_wanted",
    )

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max_packet
        # Complete packets are taken from `_bytes`. An incomplete packet waits in `_partial` until
        # it has `_wanted` octets; then it becomes `_bytes`.
        self._bytes = b""
        self._position = 0
        self._partial = bytearray()
        self._wanted = _LENGTH
        self._readers: _Readers = self._UNNEGOTIATED
        self._event_after: Event | None = None
        # macros for a command that has not arrived yet
        self._macros: dict[bytes, bytes] = {}
        self._macros_for = b""
        self._client_macros: Macros = _NONE
        self._message_macros: dict[bytes, Macros] = {}  # by command

    @property
    def has_more(self) -> bool:
        """Return whether `next_event()` may return an event without another `receive_data()`."""
        return self._position < len(self._bytes) or self._event_after is not None

    @property
    def buffered(self) -> int:
        """Octets waiting to be read, or for the rest of their packet."""
        return len(self._bytes) - self._position + len(self._partial)

    @property
    def has_negotiated(self) -> bool:
        """Return whether the MTA has sent its offer."""
        return self._readers is not self._UNNEGOTIATED

    @property
    def in_message(self) -> bool:
        """Return whether a message has begun and has neither ended nor been aborted."""
        readers = self._readers
        if self._event_after is not None:
            return True
        return readers is self._ENVELOPE or readers is self._HEADER or readers is self._BODY

    @property
    def macros_kept(self) -> int:
        """Octets of the macros kept for this client and message."""
        kept = (self._macros, self._client_macros, *self._message_macros.values())
        return sum(len(name) + len(value) for one in kept for name, value in one.items())

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._position < len(self._bytes):
            data = self._bytes[self._position :] + data
        elif self._partial:
            partial = self._partial
            partial += data
            if len(partial) < self._wanted:
                self._bytes, self._position = b"", 0
                return
            data = bytes(partial)
            partial.clear()
        self._bytes, self._position = data, 0

    def next_event(self) -> Event | None:
        """Return the next event, or None if it has not arrived yet; raises
        `MilterProtocolError`."""
        if self._event_after is not None:
            after, self._event_after = self._event_after, None
            return after
        while True:
            octets, start = self._bytes, self._position
            if start == len(octets):
                self._bytes, self._position = b"", 0
                return None
            data_start = start + 5
            if len(octets) < data_start - 1:
                self._wait_for(_LENGTH)
                return None
            size = int.from_bytes(octets[start : start + 4], "big")
            if not 0 < size <= self._max_packet:
                self._die()
                raise MilterProtocolError(f"a packet of {size} octets")
            end = start + 4 + size
            if len(octets) < end:
                self._wait_for(4 + size)
                return None
            self._position = end
            command = octets[start + 4 : data_start]
            reader = self._readers.get(command)
            if reader is None:
                self._die()
                known = command in self._ENVELOPE or command in self._UNNEGOTIATED
                what = "is out of order" if known else "is unknown"
                raise MilterProtocolError(f"the command {ascii(command)[1:]} {what}")
            try:
                read = reader(self, octets[data_start:end])
            except MilterProtocolError:
                self._die()
                raise
            if read is not None:
                return read

    def _wait_for(self, size: int) -> None:
        self._partial += self._bytes[self._position :]
        self._bytes, self._position = b"", 0
        self._wanted = size

    def _die(self) -> None:
        self._bytes, self._position, self._readers = b"", 0, self._DEAD
        self._partial.clear()

    # One reader per command; each is only called if the command is allowed.

    def _take_macros(self, command: bytes) -> dict[bytes, bytes]:
        """Return the macros sent for this command; those for another one are discarded."""
        if not self._macros_for:
            return {}
        sent = self._macros if self._macros_for == command else {}
        self._macros, self._macros_for = {}, b""
        return sent

    def _read_macros(self, data: bytes) -> None:
        if len(data) > MAX_MACRO_OCTETS or data.count(b"\0") > 2 * MAX_MACROS:
            raise MilterProtocolError(f"macros of {len(data)} octets")
        command, words = data[:1], data[1:].split(b"\0")
        # names and values alternate, each with its NUL; nothing follows the last
        if not command or words.pop() or len(words) % 2:
            raise MilterProtocolError("malformed macros")
        names = [name.strip(b"{}") for name in words[::2]]
        # this replaces earlier macros for it, so that no more than one packet is kept
        self._macros, self._macros_for = dict(zip(names, words[1::2], strict=True)), command

    def _read_offer(self, data: bytes) -> Event:
        if len(data) < 12:
            raise MilterProtocolError("a truncated negotiation")
        self._readers = self._CLIENT
        numbers = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
        return Offer(*numbers)

    def _read_connect(self, data: bytes) -> Event:
        self._readers = self._CLIENT
        self._client_macros = self._take_macros(b"C")
        hostname, nul, rest = data.partition(b"\0")
        if not nul or not rest:
            raise MilterProtocolError("a truncated connection event")
        family = rest[:1]
        if family not in b"46":
            return Connect(_text(hostname), None)  # a unix socket, or unknown to the MTA
        # a port of two octets, then the address as text
        address = _one_word(rest[3:])
        if address[:5].lower() == b"ipv6:":  # Sendmail's form
            address = address[5:]
        return Connect(_text(hostname), _text(address), int.from_bytes(rest[1:3], "big"))

    def _read_helo(self, data: bytes) -> Event:
        self._readers = self._CLIENT
        return Helo(_text(_one_word(data)))

    def _read_mail(self, data: bytes) -> Event:
        self._readers = self._ENVELOPE
        # nothing of the previous message may remain, above all its login
        macros = self._take_macros(b"M")
        self._message_macros = {b"M": macros}
        path, *parameters = _words(data)
        return MailFrom(path, tuple(parameters), {**self._client_macros, **macros})

    def _read_rcpt(self, data: bytes) -> Event:
        self._message_macros[b"R"] = self._take_macros(b"R")
        return RcptTo(_words(data)[0])

    def _read_data(self, data: bytes) -> Event:  # noqa: ARG002 # there is none
        self._message_macros[b"T"] = self._take_macros(b"T")
        return Data()

    def _read_header(self, data: bytes) -> Event:
        self._readers = self._HEADER
        # a value ends at a NUL, as in C
        name, *rest = data.split(b"\0", 2)
        if not name or len(rest) < 2 or data[-1] != 0:
            raise MilterProtocolError("a truncated header field")
        return HeaderLine(name, rest[0])

    def _read_end_of_header(self, data: bytes) -> Event:  # noqa: ARG002 # there is none
        self._readers = self._BODY
        self._message_macros[b"N"] = self._take_macros(b"N")
        return EndOfHeader()

    def _read_body(self, data: bytes) -> Event:
        self._readers = self._BODY
        return BodyChunk(data)

    def _read_end(self, data: bytes) -> Event:
        self._readers = self._CLIENT
        macros: dict[bytes, bytes] = {}
        for sent in self._message_macros.values():
            macros.update(sent)
        macros.update(self._take_macros(b"E"))
        end = EndOfMessage(macros)
        if not data:
            return end
        # the last part of the body may arrive with the end
        self._event_after = end
        return BodyChunk(data, with_end=True)

    def _read_abort(self, data: bytes) -> Event:  # noqa: ARG002 # there is none
        self._readers = self._CLIENT
        return Abort()

    def _read_unknown(self, data: bytes) -> Event:  # noqa: ARG002 # of no interest
        return UnknownCommand()

    def _read_next_client(self, data: bytes) -> Event:  # noqa: ARG002 # there is none
        self._readers = self._CLIENT
        # nothing of the previous client may remain, above all its login
        self._client_macros = _NONE
        self._macros, self._macros_for = {}, b""
        return NextClient()

    def _read_quit(self, data: bytes) -> Event:  # noqa: ARG002 # there is none
        self._die()
        return Quit()

    # The order of commands. SMTP may restart at any time, so a connection, HELO or MAIL within a
    # message aborts it.
    _DEAD: ClassVar[_Readers] = {}
    _UNNEGOTIATED: ClassVar[_Readers] = {b"O": _read_offer, b"Q": _read_quit}
    _CLIENT: ClassVar[_Readers] = {
        b"A": _read_abort,
        b"C": _read_connect,
        b"D": _read_macros,
        b"H": _read_helo,
        b"K": _read_next_client,
        b"M": _read_mail,
        b"Q": _read_quit,
        b"U": _read_unknown,
    }
    _BODY: ClassVar[_Readers] = {**_CLIENT, b"B": _read_body, b"E": _read_end}
    _HEADER: ClassVar[_Readers] = {**_BODY, b"L": _read_header, b"N": _read_end_of_header}
    _ENVELOPE: ClassVar[_Readers] = {**_HEADER, b"R": _read_rcpt, b"T": _read_data}


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _words(data: bytes) -> list[bytes]:
    words = data.split(b"\0")
    if words.pop() or not words:
        raise MilterProtocolError("an unterminated text")
    return words


def _one_word(data: bytes) -> bytes:
    return _words(data)[0]
