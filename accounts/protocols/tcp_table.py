"""Postfix's TCP look-up protocol, the server side (tcp_table(5)).

A request is a line ``get KEY``, a reply is a line with a code and a text: 200 found, 400 try later,
500 not found. In both, ``%``, blanks and unprintable octets are written ``%XX``. A connection has
one table, which depends on its port.
"""

from __future__ import annotations

import re
from typing import Final

from accounts.protocols.lines import Lines
from accounts.protocols.table import (
    MAX_KEY,
    TableAnswer,
    TableFound,
    TableLookup,
    TableNotFound,
    read_key,
    reason_text,
)
from gatepost.conversation import Answered

MAX_REPLY: Final = 4096
"""Octets of a reply with its LF: Postfix refuses a longer one."""
MAX_LINE: Final = 3 * MAX_KEY + 64
"""Octets of a request that are kept: Postfix may write three for each octet of a key. A longer one
is skipped and answered "not found"."""
MAX_PASSED_OVER: Final = 1_000_000
"""Octets of a request that are skipped. A longer line ends the connection."""

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_NO_NAME: Final = b"500 no such name\n"
_PLAIN: Final = frozenset(range(0x21, 0x7F)) - {0x25}


class TcpTableConnection:
    """One connection of Postfix, which asks for `table`."""

    __slots__ = ("_lines", "_table")

    greeting = b""

    def __init__(self, table: str) -> None:
        self._table = table
        self._lines = Lines(MAX_LINE, MAX_PASSED_OVER)

    @property
    def buffered(self) -> int:
        """Return the number of octets that wait for `next_event()` or for more octets."""
        return self._lines.buffered

    @property
    def mid_request(self) -> bool:
        """Return whether a request has begun and its end is not known to have arrived."""
        return self._lines.mid_line

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._lines.receive_data(data)

    def next_event(self) -> TableLookup | Answered | None:
        """Return the next request, or None when more octets are needed; raises `StreamError`."""
        read = self._lines.read()
        if read is None:
            return None
        (line,) = read
        if line is None:
            return Answered(_NO_NAME, f"a request of more than {MAX_LINE} octets")
        words = line.split()
        if len(words) != 2 or words[0] != b"get":
            return _refused("only get with one key is supported")
        try:
            raw = _unquote(words[1])
        except ValueError:
            return _refused("a % without two hexadecimal digits")
        key = read_key(raw)
        return Answered(_NO_NAME) if key is None else TableLookup(self._table, key)

    def encode(self, event: TableLookup, reply: TableAnswer) -> bytes:  # noqa: ARG002 # see Conversation
        """Return the line of an answer."""
        if isinstance(reply, TableNotFound):
            return _NO_NAME
        if not isinstance(reply, TableFound):
            return _later(reply.reason)
        line = b"200 %b\n" % _quote(reply.value.encode("utf-8", "replace"))
        return line if len(line) <= MAX_REPLY else _later("the answer is too large")

    def failure(self, event: TableLookup, *, expired: bool) -> bytes:  # noqa: ARG002 # see Conversation
        """Return the line for a request that could not be answered."""
        return _later("no answer in time" if expired else "internal error")


def _refused(why: str) -> Answered:
    return Answered(_later(why), why)


def _later(reason: str) -> bytes:
    return b"400 %b\n" % _quote(reason_text(reason).encode("utf-8", "replace"), blanks=True)


def _unquote(text: bytes) -> bytes:
    def octet(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise ValueError
        return bytes((int(found[1], 16),))

    return _ESCAPE.sub(octet, text)


def _quote(octets: bytes, *, blanks: bool = False) -> bytes:
    """Return text as in a reply; `blanks` are kept in a reason, which people read."""
    return b"".join(
        bytes((octet,)) if octet in _PLAIN or (blanks and octet == 0x20) else b"%%%02X" % octet
        for octet in octets
    )
