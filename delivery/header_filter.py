"""Filter of the header of a message while it arrives.

It removes the fields that only this proxy may write, makes every line end CRLF, and notes where the
fields are that a scanner must not see. Its memory does not grow with the message. A lone LF becomes
CRLF because mail stores read it as the end of a line, and a field could hide behind it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgauth.message import HeaderField

MAX_PIECE: Final = 16 * 1024
"""Octets of a line that are held until its end is there; longer lines pass in pieces."""
MAX_KEPT: Final = 64 * 1024
"""Octets of a field that is read here; a longer one is not read, but passes."""
MAX_RESULTS: Final = 5
"""Authentication-Results that are read here, from the top: that of our milter is among them."""
MAX_AUTHORS: Final = 2
"""From fields that are read here: with more than one there is no author."""
MAX_SUBJECTS: Final = 10
"""Subject fields that are noted: RFC 5322 section 3.6 allows one, and programs show any."""
MAX_PLACES: Final = 1000
"""Places of authentication results that are noted; further ones are removed from the message."""

_LONE_LF: Final = re.compile(rb"(?<!\r)\n")
_RESULTS: Final = b"authentication-results"
_HIDDEN: Final = frozenset({_RESULTS, b"arc-authentication-results"})
_OURS: Final = b"x-spam"
_VIRUS: Final = b"x-virus-status"
_MEANT: Final = b"x-envelope-to"
_QUEUE_ID: Final = re.compile(
    r"\bwith (?:UTF8)?E?SMTPS?A? id ([A-Za-z0-9]{6,30})\b|\bid ([A-Za-z0-9]{6,30})\b"
)


class HiddenPlace(NamedTuple):
    """A part of the filtered message, as offsets."""

    start: int
    end: int


class SubjectPlace(NamedTuple):
    """A Subject field of the filtered message: where its value begins, and its first line."""

    start: int
    line: bytes
    """The rest of the line with its end; its beginning, if it is very long."""


class HeaderFilter:
    """Filter of one message; after `finish()`, its attributes describe the header.

    `keeps_virus_status`: X-Virus-Status above the first Received field stays. Only our milter can
    have written there, because our MTA puts its Received field above all that it was sent. Without
    it, the proxy looks for viruses, so X-Envelope-To is its own as well: the quarantine shows in it
    who was to get a message.
    """

    def __init__(self, *, keeps_virus_status: bool = False) -> None:
        self._keeps_virus_status = keeps_virus_status
        self.size = 0
        """Octets that have left the filter."""
        self.header_size: int | None = None
        """Octets of the header without the empty line; None until its end is known."""
        self.hidden: list[HiddenPlace] = []
        """Where the results of authentication are, of whatever host."""
        self.removed = 0
        """Fields that were removed."""
        self.results: list[HeaderField] = []
        """Authentication-Results above the first Received field, from the top."""
        self.subjects: list[SubjectPlace] = []
        self.authors: list[bytes] = []
        """Values of the From fields."""
        self.received = ""
        """The first Received field, which our own MTA has written."""
        self._pending = b""
        self._last = b""
        self._at_line_start = True
        self._drops = False
        self._key = b""
        self._kept: bytearray | None = None
        self._has_received = False

    @property
    def queue_id(self) -> str:
        """Return the queue id in the first Received field; empty if there is none."""
        found = _QUEUE_ID.search(self.received)
        return (found[1] or found[2]) if found else ""

    def write(self, data: bytes) -> bytes:
        """Take content, and return what passes."""
        if not data:
            return b""
        data = self._with_crlf(data)
        if self.header_size is not None:
            self.size += len(data)
            return data
        self._pending += data
        return self._read_header(at_end=False)

    def finish(self) -> bytes:
        """Take the end of the message, and return what passes; the last line gets its end."""
        out = b""
        if self.header_size is None:
            out = self._read_header(at_end=True)
        if self.header_size is None:
            self._end_field()
            self.header_size = self.size
        if self._last and not self._last.endswith(b"\n"):
            out += b"\r\n"
            self.size += 2
        return out

    def _with_crlf(self, data: bytes) -> bytes:
        starts_in_crlf = self._last == b"\r" and data.startswith(b"\n")
        if data.count(b"\n") != data.count(b"\r\n") + starts_in_crlf:
            if starts_in_crlf:
                data = b"\n" + _LONE_LF.sub(b"\r\n", data[1:])
            else:
                data = _LONE_LF.sub(b"\r\n", data)
        self._last = data[-1:]
        return data

    def _read_header(self, *, at_end: bool) -> bytes:
        out = bytearray()
        data, at = self._pending, 0
        while self.header_size is None:
            end = data.find(b"\r\n", at) + 2
            if end < 2:
                rest = len(data) - at
                # a CR at the end may be half of a CRLF
                if not at_end and rest <= MAX_PIECE:
                    break
                end = len(data) if at_end or not data.endswith(b"\r") else len(data) - 1
                if end == at:
                    break
            piece, at = data[at:end], end
            if self._at_line_start and piece == b"\r\n":
                self._end_field()
                self.header_size = self.size
                out += data[at - 2 :]
                self.size += len(data) - at + 2
                at = len(data)
                break
            self._take(piece, out)
            self._at_line_start = piece.endswith(b"\r\n")
        self._pending = data[at:]
        return bytes(out)

    def _take(self, piece: bytes, out: bytearray) -> None:
        if self._at_line_start and piece[:1] not in (b" ", b"\t"):
            self._end_field()
            self._begin_field(piece)
        if self._drops:
            return
        if self._key in _HIDDEN:
            self._hide(len(piece))
        if self._kept is not None:
            self._kept += piece
            if len(self._kept) > MAX_KEPT:
                self._kept = None
                if self._key == b"from":
                    self.authors.append(b"")  # it counts, so that no other one is the author
        out += piece
        self.size += len(piece)

    def _begin_field(self, piece: bytes) -> None:
        name, colon, _ = piece.partition(b":")
        key = name.strip(b" \t\r\n\0\x0b\x0c").lower()
        self._key = key
        has_room = (
            len(self.hidden) < MAX_PLACES or self.hidden[-1].end == self.size
            if key in _HIDDEN
            else True
        )
        is_virus_status = key == _VIRUS and (self._has_received or not self._keeps_virus_status)
        is_meant = key == _MEANT and not self._keeps_virus_status
        self._drops = key.startswith(_OURS) or is_virus_status or is_meant or not has_room
        if self._drops:
            self.removed += 1
        if key == b"subject" and colon and len(self.subjects) < MAX_SUBJECTS:
            self.subjects.append(SubjectPlace(self.size + len(name) + 1, piece[len(name) + 1 :]))
        is_read = (
            (key == b"received" and not self._has_received)
            or (key == _RESULTS and not self._has_received and len(self.results) < MAX_RESULTS)
            or (key == b"from" and len(self.authors) < MAX_AUTHORS)
        )
        self._kept = bytearray() if is_read and not self._drops else None

    def _hide(self, size: int) -> None:
        if self.hidden and self.hidden[-1].end == self.size:
            self.hidden[-1] = HiddenPlace(self.hidden[-1].start, self.size + size)
        else:
            self.hidden.append(HiddenPlace(self.size, self.size + size))

    def _end_field(self) -> None:
        key, self._key = self._key, b""
        if self._kept is not None:
            name, _, value = bytes(self._kept).removesuffix(b"\r\n").partition(b":")
            self._kept = None
            match key:
                case b"received":
                    self.received = HeaderField(name, value).text
                case b"from":
                    self.authors.append(value)
                case _:
                    self.results.append(HeaderField(name, value))
        if key == b"received":
            self._has_received = True
