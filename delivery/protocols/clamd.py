"""INSTREAM, the way to hand clamd a message (clamd(8)).

Each chunk has its length before it, and a length of zero ends the stream. clamd answers early, and
closes, when the stream is longer than its StreamMaxLength: so the answer is read whatever becomes
of the octets that are still sent.
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

from delivery.protocols.errors import PeerError

BEGIN: Final = b"zINSTREAM\0"
END: Final = b"\0\0\0\0"
MAX_REPLY: Final = 1024
"""Octets of an answer."""

_LENGTH: Final = struct.Struct(">I")
_FOUND: Final = re.compile(r"(?:stream|instream\(local\)): (.{1,500}) FOUND\Z")
_NAME: Final = re.compile(r"[^A-Za-z0-9_.()/:-]+")


class VirusResult(NamedTuple):
    """Opinion of clamd; `virus` is the name of the first one found, or empty."""

    virus: str = ""


def stream_chunk(data: bytes) -> bytes:
    """Return a chunk of the stream; nothing for no data, which would end it."""
    return _LENGTH.pack(len(data)) + data if data else b""


class ClamdReader:
    """Reader of one answer, which ends with NUL, LF or the connection. The rest is ignored."""

    def __init__(self) -> None:
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
            return VirusResult()
        if found := _FOUND.match(line):
            return VirusResult(_NAME.sub("_", found[1])[:100])
        raise PeerError(f"it answers {line[:100]!a}")
