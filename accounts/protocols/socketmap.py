"""Postfix's socketmap protocol, the server side (socketmap_table(5)).

Each request and each reply is one netstring: a length in decimal digits, a colon, that many octets,
and a comma. A request is ``NAME KEY``; the first blank separates them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from accounts.protocols.table import (
    MAX_KEY,
    Misconfigured,
    TableAnswer,
    TableFound,
    TableLookup,
    TableNotFound,
    TableTemporary,
    TimedOut,
    read_key,
    reason_text,
)
from accounts.protocols.table import has_control as _has_control
from gatepost.conversation import Answered, StreamError

TABLES: Final = ("domains", "mailboxes", "aliases", "senders", "transport", "relay", "srs")
"""The names that main.cf may use as NAME in ``socketmap:inet:HOST:PORT:NAME``."""
MAX_REPLY: Final = 100_000
"""Octets of a reply without its netstring: Postfix refuses a longer one."""
MAX_REQUEST: Final = MAX_KEY + 64
"""Octets of a request that are kept. A longer one is skipped and answered "not found"."""
MAX_PASSED_OVER: Final = 1_000_000
"""Octets of a request that are skipped. A netstring with a greater length ends the connection."""

_MAX_DIGITS: Final = len(str(MAX_PASSED_OVER))
_TOO_LARGE: Final = TableTemporary("the answer is too large")
_UNFIT: Final = TableTemporary("the answer has a control character in it")


class SocketmapConnection:
    """One connection of Postfix; `tables` are the names that it may ask for."""

    __slots__ = ("_at", "_buffer", "_passing_over", "_tables")

    greeting = b""

    def __init__(self, tables: Collection[str] = TABLES) -> None:
        self._tables = frozenset(name.encode() for name in tables)
        self._buffer = b""
        self._at = 0  # start of the next netstring in it
        self._passing_over = 0  # octets of a long netstring that are still to come

    @property
    def buffered(self) -> int:
        """Return the number of octets that wait for `next_event()` or for more octets."""
        return len(self._buffer) - self._at

    @property
    def mid_request(self) -> bool:
        """Return whether a request has begun and its end is not known to have arrived."""
        return self.buffered > 0 or self._passing_over > 0

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    def next_event(self) -> TableLookup | Answered | None:
        """Return the next request, or None when more octets are needed; raises `StreamError`."""
        if self._passing_over:
            return self._pass_over()
        buffer, begin = self._buffer, self._at
        colon = buffer.find(b":", begin, begin + _MAX_DIGITS + 1)
        digits = buffer[begin : begin + _MAX_DIGITS + 1] if colon < 0 else buffer[begin:colon]
        if digits and not digits.isdigit():
            raise StreamError("not a netstring: no length")
        if len(digits) > 1 and digits[0] == 0x30:  # each number has one form
            raise StreamError("not a netstring: a length with a leading zero")
        if colon < 0:
            if len(digits) > _MAX_DIGITS:
                raise StreamError("not a netstring: an endless length")
            return None
        if not digits:
            raise StreamError("not a netstring: no length")
        size = int(digits)
        if size > MAX_PASSED_OVER:
            raise StreamError(f"a netstring of {size} octets")
        self._at = colon + 1
        if size > MAX_REQUEST:
            self._passing_over = size + 1
            return self._pass_over()
        end = colon + 1 + size
        if len(buffer) <= end:
            self._at = begin
            return None
        self._check_comma(buffer[end])
        self._at = end + 1
        return self._read(buffer[colon + 1 : end])

    def _pass_over(self) -> Answered | None:
        """Skip a request that is too long, and then answer it."""
        taken = min(self._passing_over, self.buffered)
        if not taken:
            return None
        self._passing_over -= taken
        last = self._at + taken - 1
        self._at += taken
        if self._passing_over:
            return None
        self._check_comma(self._buffer[last])
        return Answered(_encode(TableNotFound()), f"a request of more than {MAX_REQUEST} octets")

    def _check_comma(self, octet: int) -> None:
        if octet != 0x2C:
            raise StreamError("not a netstring: no comma at its end")

    def _read(self, request: bytes) -> TableLookup | Answered:
        name, blank, raw = request.partition(b" ")
        if not blank or name not in self._tables:
            shown = name[:40].decode("ascii", "backslashreplace")
            return Answered(
                _encode(Misconfigured(f"no such map: {shown}")),
                f"a request without a map of ours: {shown}",
            )
        key = read_key(raw)
        if key is None:
            return Answered(_encode(TableNotFound()))
        return TableLookup(name.decode(), key)

    def encode(self, event: TableLookup, reply: TableAnswer) -> bytes:  # noqa: ARG002 # see Conversation
        """Return the netstring of an answer."""
        return _encode(reply)

    def failure(self, event: TableLookup, *, expired: bool) -> bytes:  # noqa: ARG002 # see Conversation
        """Return the netstring for a request that could not be answered."""
        return _encode(
            TimedOut("no answer in time") if expired else TableTemporary("internal error")
        )


def _encode(reply: TableAnswer) -> bytes:
    if isinstance(reply, TableFound):
        if _has_control(reply.value):
            return _encode(_UNFIT)
        text = b"OK " + reply.value.encode("utf-8", "replace")
        if len(text) > MAX_REPLY:
            return _encode(_TOO_LARGE)
    elif isinstance(reply, TableNotFound):
        text = b"NOTFOUND "
    else:
        word = _WORDS[type(reply)]
        text = f"{word} {reason_text(reply.reason)}".encode("utf-8", "replace")
    return b"%d:%b," % (len(text), text)


_WORDS: Final[dict[type[TableAnswer], str]] = {
    TableTemporary: "TEMP",
    TimedOut: "TIMEOUT",
    Misconfigured: "PERM",
}
