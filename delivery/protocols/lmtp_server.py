"""LMTP, the server side (RFC 2033), for Postfix.

The protocol answers commands itself, and every recipient with a valid address is accepted: the
answer that counts comes after the content, one for each recipient (RFC 2033 section 4.2). Until
these are written and `resume()` is called, no further command is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from delivery.protocols.dots import DotReader
from delivery.protocols.envelope import (
    LmtpEnvelope,
    MailParameters,
    PathError,
    read_parameters,
    read_path,
)
from gatepost.conversation import Answered, StreamError

MAX_COMMAND: Final = 4096
"""Octets of a command line: RFC 5321 section 4.5.3.1.4 allows 512, and parameters add to it."""
MAX_MISTAKES: Final = 20
"""Commands in a connection that are refused before it is closed."""

_EXTENSIONS: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
_INVALID: Final = re.compile(rb"[\r\n\0]")
_LINE_END: Final = re.compile(rb"\r\n")
_OK: Final = b"250 2.0.0 OK\r\n"


class ContentPart(NamedTuple):
    """Some octets of the content, without the dots of RFC 5321 section 4.5.2."""

    data: bytes


class ContentEnd(NamedTuple):
    """The end of the content: each recipient wants a reply."""

    envelope: LmtpEnvelope


class Goodbye(NamedTuple):
    """The connection ends after this reply."""

    reply: bytes


LmtpEvent = Answered | ContentPart | ContentEnd | Goodbye


class LmtpServer:
    """One connection of a client.

    `max_size` is the largest content that the client may declare, in octets, `max_recipients` the
    number of recipients of a message.
    """

    def __init__(self, hostname: str, max_size: int, max_recipients: int) -> None:
        self._hostname = hostname.encode("ascii")
        self._max_size = max_size
        self._max_recipients = max_recipients
        self._buffer = b""
        self._content: DotReader | None = None
        self._greeted = False
        self._waiting = False
        self._ended = False
        self._mistakes = 0
        self._sender: tuple[str, MailParameters] | None = None
        self._recipients: list[str] = []
        self._commands: dict[bytes, Callable[[str], bytes]] = {
            b"LHLO": self._lhlo,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": lambda _: _OK,
            # RFC 5321 section 3.5.3
            b"VRFY": lambda _: b"252 2.5.0 Cannot verify, but will try to deliver\r\n",
        }

    @property
    def greeting(self) -> bytes:
        """Return the octets that are sent before the first command."""
        return b"220 %b LMTP Gatepost\r\n" % self._hostname

    @property
    def buffered(self) -> int:
        """Return the number of octets that wait for `next_event()` or for more octets."""
        return len(self._buffer)

    @property
    def in_content(self) -> bool:
        """Return whether content is being received."""
        return self._content is not None

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._buffer += data

    def resume(self) -> None:
        """Continue with commands, after every recipient has its reply."""
        self._waiting = False
        self._reset()

    def next_event(self) -> LmtpEvent | None:
        """Return what comes next, or None when more octets are needed.

        Raises `StreamError` for a command line without end.
        """
        if self._waiting or self._ended:
            return None
        if self._content is not None:
            return self._next_content(self._content)
        found = _LINE_END.search(self._buffer)
        if (len(self._buffer) if found is None else found.start()) > MAX_COMMAND:
            raise StreamError(f"a command of more than {MAX_COMMAND} octets")
        if found is None:
            return None
        line, self._buffer = self._buffer[: found.start()], self._buffer[found.end() :]
        return self._command(line)

    def _next_content(self, reader: DotReader) -> LmtpEvent | None:
        if reader.is_ended:
            self._content, self._waiting = None, True
            return ContentEnd(self._envelope())
        if not self._buffer:
            return None
        content, self._buffer = reader.read(self._buffer)
        return ContentPart(content) if content else self._next_content(reader)

    def _envelope(self) -> LmtpEnvelope:
        assert self._sender is not None  # noqa: S101  # DATA has seen to it
        sender, (body, smtputf8, size) = self._sender
        return LmtpEnvelope(sender, tuple(self._recipients), body, smtputf8, size)

    def _command(self, line: bytes) -> Answered | Goodbye:
        verb, _, rest = line.partition(b" ")
        verb = verb.upper()
        if verb == b"QUIT" and not rest.strip():
            self._ended = True
            return Goodbye(b"221 2.0.0 Bye\r\n")
        # RFC 5321 section 2.3.8: CRLF alone ends a line, so nobody reads two commands in one
        argument = "" if _INVALID.search(line) else rest.decode("utf-8", "replace")
        if _INVALID.search(line) or "\ufffd" in argument:
            return self._mistake(b"500 5.5.2 Invalid octets in a command\r\n")
        command = self._commands.get(verb)
        if command is None:
            # RFC 2033 section 4.1: HELO and EHLO are unknown commands
            return self._mistake(b"500 5.5.1 Unknown command\r\n", fatal=not self._greeted)
        reply = command(argument)
        return self._mistake(reply) if reply.startswith(b"5") else Answered(reply)

    def _mistake(self, reply: bytes, *, fatal: bool = False) -> Answered | Goodbye:
        self._mistakes += 1
        if fatal or self._mistakes > MAX_MISTAKES:
            self._ended = True
            return Goodbye(b"421 4.7.0 Too many errors\r\n")
        return Answered(reply, reply.decode().strip())

    def _lhlo(self, argument: str) -> bytes:
        if not argument.strip():
            return b"501 5.5.4 LHLO needs a name\r\n"
        self._greeted = True
        self._reset()
        words = [self._hostname, *(word.encode() for word in _EXTENSIONS)]
        # RFC 1870 section 4
        words.append(b"SIZE %d" % self._max_size)
        lines = [b"250-%b\r\n" % word for word in words[:-1]]
        return b"".join([*lines, b"250 %b\r\n" % words[-1]])

    def _mail(self, argument: str) -> bytes:
        if not self._greeted:
            return b"503 5.5.1 LHLO first\r\n"
        if self._sender is not None:
            return b"503 5.5.1 A sender is given already\r\n"
        try:
            path, rest = read_path(_after("FROM:", argument))
        except PathError as error:
            return b"501 5.1.7 %b\r\n" % str(error).capitalize().encode()
        parameters = read_parameters(rest)
        if parameters is None:
            return b"555 5.5.4 Unsupported parameter of MAIL\r\n"
        if parameters.size > self._max_size:
            return b"552 5.3.4 The message is too large\r\n"  # RFC 1870 section 6.1
        if not path.isascii() and not parameters.smtputf8:
            return b"553 5.6.7 The address needs SMTPUTF8\r\n"  # RFC 6531 section 3.5
        self._sender = path, parameters
        return b"250 2.1.0 OK\r\n"

    def _rcpt(self, argument: str) -> bytes:
        if self._sender is None:
            return b"503 5.5.1 MAIL first\r\n"
        if len(self._recipients) >= self._max_recipients:
            return b"452 4.5.3 Too many recipients\r\n"
        try:
            path, rest = read_path(_after("TO:", argument))
        except PathError as error:
            return b"501 5.1.3 %b\r\n" % str(error).capitalize().encode()
        if not path:
            return b"501 5.1.3 The recipient is missing\r\n"
        if rest:
            return b"555 5.5.4 Unsupported parameter of RCPT\r\n"
        if not path.isascii() and not self._sender[1].smtputf8:
            return b"553 5.6.7 The address needs SMTPUTF8\r\n"
        self._recipients.append(path)
        return b"250 2.1.5 OK\r\n"

    def _data(self, argument: str) -> bytes:
        if argument.strip():
            return b"501 5.5.4 DATA has no parameter\r\n"
        if not self._recipients:
            return b"503 5.5.1 No valid recipients\r\n"  # RFC 2033 section 4.2
        self._content = DotReader()
        return b"354 End data with <CR><LF>.<CR><LF>\r\n"

    def _rset(self, argument: str) -> bytes:
        if argument.strip():
            return b"501 5.5.4 RSET has no parameter\r\n"
        self._reset()
        return _OK

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []


def _after(word: str, argument: str) -> str:
    """Return the path after FROM: or TO:, with blanks between them as some clients write."""
    if argument[: len(word)].upper() != word:
        raise PathError(f"{word} is missing")
    return argument[len(word) :].lstrip(" ")
