"""Postfix's policy delegation protocol (SMTPD_POLICY_README): bytes in, events out.

A request consists of lines ``name=value``, each ended by LF, and a final empty line; a connection
carries a sequence of requests, and each gets one answer, in order. A line may also end in CR LF, as
sent by nc and telnet; Postfix always sends LF. `RequestReader` reads requests: `receive_data()`
takes bytes from the socket, `next_event()` returns

* a `Request`: answer it;
* a `Malformed`: the end of a request was found, but the text before it is not a request; the stream
is still in step, so it can be answered (with DUNNO, because Postfix never sends this);
* None: more bytes are needed.

`next_event()` raises `PolicyProtocolError` if the stream is out of step: close the connection. It
raises nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from policyd.errors import PolicydError
from policyd.request import REQUEST_TYPE, Request

MAX_REQUEST = 32 * 1024
"""Maximum bytes of one request. Postfix limits an SMTP command to line_length_limit (2,048 bytes)
and sends some 30 attributes; sender, recipient, HELO name and certificate names come from outside.
A real request has 0.5 to 12 KiB."""
MAX_ATTRIBUTES = 200
"""Maximum lines of one request: Postfix 3.10 sends 30."""
MAX_DISCARD = 8 * 1024 * 1024
"""Maximum bytes of an oversized request that are skipped to find its end, so that even a megabyte
in one attribute gets an answer; beyond that the connection is closed."""


class PolicyProtocolError(PolicydError):
    """The client does not speak the policy protocol, or the end of a request cannot be found."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Text that ends like a request but is not one; `reason` says why."""

    reason: str


class RequestReader:
    """The receiving half of one connection."""

    __slots__ = ("_at", "_buffer", "_discarded", "_searched", "size")

    def __init__(self) -> None:
        self._buffer = b""  # not a bytearray: one request alone in it is not copied
        self._at = 0  # where the next request begins in it
        self._searched = 0  # no end of a request begins before this offset
        self._discarded = 0  # bytes of the current request already discarded
        self.size = 0
        """Bytes of the request that was returned last."""

    @property
    def buffered(self) -> int:
        """Bytes waiting for `next_event()`, or for the rest of their request."""
        return len(self._buffer) - self._at

    @property
    def mid_request(self) -> bool:
        """Return whether part of a request has arrived, but as far as known not its end."""
        return len(self._buffer) > self._at or self._discarded > 0

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the socket, in chunks of any size."""
        self._drop(self._at)
        self._buffer += data

    def next_event(self) -> Request | Malformed | None:
        """Return the next event, or None; raises `PolicyProtocolError`."""
        buffer, begin = self._buffer, self._at
        if len(buffer) == begin:
            return None
        if not self._discarded and (empty := _empty_line(buffer, begin)):
            self._take(begin + empty)
            return Malformed("an empty request")
        end, size = _find_end(buffer, self._searched)
        if end < 0:
            self._wait_for_more()
            return None
        self._take(end + size)
        if self._discarded or end - begin > MAX_REQUEST:
            self._discarded = 0
            return Malformed(f"longer than {MAX_REQUEST} bytes")
        self.size = end - begin
        return _parse(buffer[begin:end])

    def _take(self, end: int) -> None:
        """Mark the bytes before `end` as read."""
        if end == len(self._buffer):
            self._buffer, end = b"", 0
        self._at = self._searched = end

    def _drop(self, end: int) -> None:
        """Drop the bytes before `end`."""
        if end:
            self._buffer = self._buffer[end:]
            self._at = 0
            self._searched = max(0, self._searched - end)

    def _wait_for_more(self) -> None:
        size = self.buffered
        if size > MAX_REQUEST:
            # the last two bytes may be the beginning of LF CR LF
            self._discarded += size - 2
            self._drop(len(self._buffer) - 2)
            if self._discarded > MAX_DISCARD:
                raise PolicyProtocolError(f"no end of a request within {MAX_DISCARD} bytes")
        self._searched = max(self._at, len(self._buffer) - 2)


def _empty_line(buffer: bytes, begin: int) -> int:
    """Return the length of the empty line at `begin`, 0 when there is none."""
    if buffer[begin] == 0x0A:
        return 1
    return 2 if buffer.startswith(b"\r\n", begin) else 0


def _find_end(buffer: bytes, begin: int) -> tuple[int, int]:
    """Find the first line end followed by an empty line; return its position (or -1) and the length
    of both."""
    end = buffer.find(b"\n\n", begin)
    with_cr = buffer.find(b"\n\r\n", begin) if end < 0 else buffer.find(b"\n\r\n", begin, end + 1)
    return (end, 2) if with_cr < 0 else (with_cr, 3)


def _parse(raw: bytes) -> Request | Malformed:
    if b"\0" in raw:
        return Malformed("a NUL byte")
    # Bytes that are not UTF-8 become \xNN in text: this can be compared, stored and logged, and
    # stays different from everything else that Postfix can send.
    text = raw.decode("utf-8", "backslashreplace")
    lines = text.split("\n")
    if "\r" in text:
        lines = [line.removesuffix("\r") for line in lines]
    if len(lines) > MAX_ATTRIBUTES:
        return Malformed(f"more than {MAX_ATTRIBUTES} attributes")
    try:
        attributes: dict[str, str] = dict([line.split("=", 1) for line in lines])  # list is faster
    except ValueError:
        return Malformed("a line without '='")
    kind = attributes.get("request")
    if kind != REQUEST_TYPE:
        return Malformed("no request attribute" if kind is None else f"request={kind[:40]}")
    return Request(attributes)
