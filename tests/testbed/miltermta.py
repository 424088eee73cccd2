"""MTA side of the milter protocol (version 6), as Postfix speaks it.

`encode_*` and `decode` do no I/O; `MilterClient` uses them on a socket. In every test, the client
checks that header values contain no CR, that lines in added fields have at most 78 columns, and
that no answer comes if none was agreed.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gatepost.listen import SocketAddress, Unix
from tests.testbed.closing import Closing
from tests.testbed.waiting import DEADLINE

VERSION = 6

# What Postfix 3.7 offers (milter8.c): all actions, all protocol steps
ACTIONS = 0x1FF
STEPS = 0x1FFFFF

NR_HDR, NO_DATA, NR_RCPT, LEADING_SPACE = 0x80, 0x200, 0x8000, 0x100000
NO_REPLY = {
    b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000,
    b"L": NR_HDR, b"N": 0x40000, b"B": 0x80000,
}  # fmt: skip
NOT_SENT = {
    b"C": 0x01, b"H": 0x02, b"M": 0x04, b"R": 0x08, b"B": 0x10, b"L": 0x20, b"N": 0x40,
    b"T": NO_DATA,
}  # fmt: skip

CHUNK = 65535
"""Maximum octets of the body in one packet."""

WIDTH = 78
"""Maximum columns of a line in an added field (RFC 5322 section 2.1.1)."""


class ProtocolViolationError(AssertionError):
    """The milter violated the protocol or one of our promises."""


@dataclass
class Result:
    """The milter's result for one message."""

    reply: str = ""
    """``accept``, ``continue``, ``tempfail``, ``reject``, or the milter's SMTP reply."""
    inserted: list[tuple[int, str, str]] = field(default_factory=list)
    """Index, name and value of each added field, in the order of arrival."""
    deleted: list[tuple[str, int]] = field(default_factory=list)
    """Name and occurrence of each removed field."""
    quarantined: str = ""

    @property
    def code(self) -> int:
        """The SMTP code; 250 if the message is accepted."""
        return int(self.reply[:3]) if self.reply[:3].isdecimal() else 250

    def values(self, name: str) -> list[str]:
        """Return the values of the added fields with this name, topmost first."""
        return [value for _, n, value in reversed(self.inserted) if n.lower() == name.lower()]

    def apply(self, header: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the header after the changes; values keep their leading space."""
        fields = list(header)
        for name, occurrence in self.deleted:
            places = [n for n, (found, _) in enumerate(fields) if found.lower() == name.lower()]
            if not 0 < occurrence <= len(places):
                raise ProtocolViolationError(f"there is no {name} number {occurrence}")
            del fields[places[occurrence - 1]]
        for index, name, value in self.inserted:
            fields.insert(index, (name, value))
        return fields


def encode(command: bytes, data: bytes = b"") -> bytes:
    """Return one packet."""
    return struct.pack(">I", 1 + len(data)) + command + data


def encode_macros(command: bytes, macros: Mapping[str, str]) -> bytes:
    """Return the macros for a command; names of several characters are already in braces."""
    words = b"".join(f"{name}\0{value}\0".encode() for name, value in macros.items())
    return encode(b"D", command + words)


def encode_connect(hostname: str, address: str | None, port: int = 25) -> bytes:
    """Return the event for an SMTP connection; None is a client without an address."""
    if address is None:
        return encode(b"C", hostname.encode() + b"\0U")
    family = b"6" if ":" in address else b"4"
    return encode(
        b"C",
        hostname.encode() + b"\0" + family + struct.pack(">H", port) + address.encode() + b"\0",
    )


def split_message(raw: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """Return the header fields (folds with LF, leading space kept) and the body, from CRLF text."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields: list[tuple[str, bytes]] = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and fields:
            name, value = fields[-1]
            fields[-1] = name, value + b"\n" + line
        elif line:
            name_octets, _, value = line.partition(b":")
            fields.append((name_octets.decode(), value))
    return fields, body


class MilterClient(Closing):
    """One milter connection, from construction to `close()`."""

    def __init__(
        self,
        address: SocketAddress,
        *,
        actions: int = ACTIONS,
        steps: int = STEPS,
        timeout: float = DEADLINE,
    ) -> None:
        self._buffer = b""
        self.version = self.actions = self.steps = 0
        self.symbols: dict[int, list[str]] = {}
        self._socket = socket.socket(
            socket.AF_UNIX if isinstance(address, Unix) else socket.AF_INET
        )
        self._socket.settimeout(timeout)
        try:
            if isinstance(address, Unix):
                self._socket.connect(str(address.path))
            else:
                self._socket.connect((address.host or "127.0.0.1", address.port))
            self._negotiate(actions, steps)
        except BaseException:
            self.close()
            raise

    def _negotiate(self, actions: int, steps: int) -> None:
        self._write(encode(b"O", struct.pack(">III", VERSION, actions, steps)))
        command, data = self.read()
        if command != b"O":
            raise ProtocolViolationError(f"no answer to the negotiation but {command!r}")
        self.version, self.actions, self.steps = struct.unpack(">III", data[:12])
        if self.actions & ~actions or self.steps & ~steps:
            raise ProtocolViolationError("the milter asks for what was not offered")
        self.symbols = _symbols(data[12:])

    def _write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> tuple[bytes, bytes]:
        """Return one packet from the milter; raises `ConnectionError` at the end of the stream."""
        size = struct.unpack(">I", self._read(4))[0]
        packet = self._read(size)
        return packet[:1], packet[1:]

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the milter has closed the connection")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def send(self, command: bytes, data: bytes = b"", macros: Mapping[str, str] = {}) -> str:
        """Send one event with macros and return the answer; empty if it needs none."""
        if self.steps & NOT_SENT.get(command, 0):
            return ""
        if macros:
            self._write(encode_macros(command, macros))
        self._write(encode(command, data))
        if self.steps & NO_REPLY.get(command, 0):
            return ""
        answer, text = self.read()
        return _verdict(answer, text)

    def connect(
        self,
        hostname: str = "mx.sender.example",
        address: str | None = "192.0.2.1",
        macros: Mapping[str, str] = {},
    ) -> str:
        """Send the connection of an SMTP client."""
        if macros:
            self._write(encode_macros(b"C", macros))
        if self.steps & NOT_SENT[b"C"]:
            return ""
        self._write(encode_connect(hostname, address))
        return "" if self.steps & NO_REPLY[b"C"] else _verdict(*self.read())

    def helo(self, name: str = "mx.sender.example") -> str:
        """Send HELO."""
        return self.send(b"H", name.encode("utf-8", "surrogateescape") + b"\0")

    def mail_from(self, sender: str, macros: Mapping[str, str] = {}) -> str:
        """Send MAIL FROM, which begins a message."""
        # if macros were requested for MAIL FROM, Postfix adds one of its own
        macros = {"j": "mta.example", "{daemon_name}": "smtpd", **macros}
        return self.send(b"M", f"<{sender}>".encode() + b"\0", macros)

    def rcpt(self, recipient: str) -> str:
        """Send a recipient."""
        return self.send(b"R", f"<{recipient}>".encode() + b"\0")

    def data(self) -> str:
        """DATA."""
        return self.send(b"T")

    def header(self, name: str, value: bytes) -> str:
        """Send one field; `value` has its leading space."""
        if not self.steps & LEADING_SPACE:
            value = value.removeprefix(b" ")
        return self.send(b"L", name.encode() + b"\0" + value + b"\0")

    def end_of_headers(self) -> str:
        """Send the end of the header."""
        return self.send(b"N")

    def body(self, body: bytes) -> str:
        """Send the body in packets of the same size as Postfix."""
        answer = ""
        for start in range(0, len(body), CHUNK):
            answer = self.send(b"B", body[start : start + CHUNK])
            if answer not in ("", "continue"):
                break
        return answer

    def end_of_message(self, queue_id: str = "4ABC123") -> Result:
        """Send the end of the message; collect the milter's changes until its answer."""
        self._write(encode_macros(b"E", {"i": queue_id}))
        self._write(encode(b"E"))
        result = Result()
        while True:
            command, data = self.read()
            match command:
                case b"h" | b"i":
                    index = struct.unpack(">I", data[:4])[0] if command == b"i" else -1
                    name, value, *_ = data[4 if command == b"i" else 0 :].split(b"\0")
                    self._check_field(name, value)
                    result.inserted.append((index, name.decode(), value.decode()))
                case b"m":
                    occurrence = struct.unpack(">I", data[:4])[0]
                    name, value, *_ = data[4:].split(b"\0")
                    if value:
                        raise ProtocolViolationError("a field is changed, not removed")
                    result.deleted.append((name.decode(), occurrence))
                case b"q":
                    result.quarantined = data.rstrip(b"\0").decode()
                case b"p":
                    continue
                case _:
                    result.reply = _verdict(command, data)
                    return result

    def _check_field(self, name: bytes, value: bytes) -> None:
        if b"\r" in value or b"\0" in value:
            raise ProtocolViolationError(f"CR or NUL in {name!r}: {value!r}")
        if self.steps & LEADING_SPACE and not value.startswith((b" ", b"\t", b"\n")):
            raise ProtocolViolationError(f"no space before the value of {name!r}")
        lines = (name + b":" + value).split(b"\n")
        if any(len(line.decode()) > WIDTH for line in lines):
            raise ProtocolViolationError(f"a line beyond {WIDTH} columns in {value!r}")
        if any(not line.startswith((b" ", b"\t")) or not line.strip() for line in lines[1:]):
            raise ProtocolViolationError(f"a fold that is none in {value!r}")

    def message(
        self,
        raw: bytes,
        *,
        sender: str = "author@sender.example",
        recipients: Iterable[str] = ("rcpt@receiver.example",),
        macros: Mapping[str, str] = {},
        queue_id: str = "4ABC123",
    ) -> Result:
        """Send a whole message (CRLF) after HELO."""
        fields, body = split_message(raw)
        self.mail_from(sender, macros)
        for recipient in recipients:
            self.rcpt(recipient)
        self.data()
        for name, value in fields:
            self.header(name, value)
        self.end_of_headers()
        self.body(body)
        return self.end_of_message(queue_id)

    def abort(self) -> None:
        """Abort the message."""
        self._write(encode(b"A"))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _verdict(command: bytes, data: bytes) -> str:
    words = {
        b"a": "accept",
        b"c": "continue",
        b"d": "discard",
        b"r": "reject",
        b"t": "tempfail",
        b"s": "skip",
    }
    if command == b"y":
        return data.rstrip(b"\0").decode().replace("%%", "%")  # as Postfix undoes it
    if command not in words:
        raise ProtocolViolationError(f"an unknown answer {command!r}")
    return words[command]


def _symbols(data: bytes) -> dict[int, list[str]]:
    """Return the macros that the milter requests, by stage."""
    wanted: dict[int, list[str]] = {}
    while len(data) >= 4:
        stage = struct.unpack(">I", data[:4])[0]
        text, _, data = data[4:].partition(b"\0")
        wanted[stage] = text.decode().split()
    return wanted
