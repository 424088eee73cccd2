"""INSTREAM, the way to hand clamd a message (clamd(8)).

Each chunk has its length before it, and a length of zero ends the stream. clamd answers early, and
closes, when the stream is longer than its StreamMaxLength: so the answer is read whatever becomes
of the octets that are still sent.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from gatepost.peer.errors import PeerError

BEGIN: Final = b"zINSTREAM\0"
END: Final = b"\0\0\0\0"
HEAD: Final = b"Return-Path: <>\r\n"
"""Line in front of a message. clamd takes its type from the first octets: a message that begins
with a field such as ``%PDF-1.4: x`` would be no mail, and its attachments would not be decoded."""
MAX_REPLY: Final = 1024
"""Octets of an answer."""

_LENGTH: Final = struct.Struct(">I")
_FOUND: Final = re.compile(r"(?:stream|instream\(local\)): (.{1,500}) FOUND\Z")
_LIMIT: Final = "Heuristics.Limits.Exceeded"
_NAME: Final = re.compile(r"[^A-Za-z0-9_.()/:-]+")


class VirusResult(NamedTuple):
    """Opinion of clamd; `virus` is the name of the first one found, or empty."""

    virus: str = ""

    @property
    def is_limit(self) -> bool:
        """Return whether clamd has not looked at all of it: AlertExceedsMax of clamd.conf."""
        return self.virus.startswith(_LIMIT)


def stream_chunk(data: bytes) -> bytes:
    """Return a chunk of the stream; nothing for no data, which would end it."""
    return _LENGTH.pack(len(data)) + data if data else b""


class ClamdStream:
    """The octets that hand clamd a message, whose parts are `parts`."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts
        self.has_ended = False
        """True once everything was handed over for sending."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the octets."""
        yield BEGIN + stream_chunk(HEAD)
        for part in self._parts:
            yield stream_chunk(part)
        self.has_ended = True
        yield END


class ClamdReader:
    """Reader of the answer for `stream`, which ends with NUL or LF. The rest is ignored.

    No answer to a part of a message says that it is clean.
    """

    def __init__(self, stream: ClamdStream) -> None:
        self._stream = stream
        self._buffer = b""
        self._is_over = False
        self._is_done = False

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        if not self._is_done:
            self._buffer += data

    def receive_eof(self) -> None:
        """Take the end of the connection."""
        self._is_over = True

    def next_event(self) -> VirusResult | None:
        """Return the answer, or None when more octets are needed; raises `PeerError`."""
        if self._is_done:
            return None
        ends = [place for end in (b"\0", b"\n") if (place := self._buffer.find(end)) >= 0]
        if not ends:
            if len(self._buffer) > MAX_REPLY:
                raise PeerError(f"an answer of more than {MAX_REPLY} octets")
            if self._is_over:
                raise PeerError("it closed the connection without a complete answer")
            return None
        line = self._buffer[: min(ends)].decode("utf-8", "replace").strip()
        self._buffer, self._is_done = b"", True
        if line == "stream: OK":
            if not self._stream.has_ended:
                raise PeerError("it answered before it had the whole message")
            return VirusResult()
        if found := _FOUND.match(line):
            return VirusResult(_NAME.sub("_", found[1])[:100])
        raise PeerError(f"it answers {line[:100]!a}")
