"""Reader of lines that end in LF, from octets in any portions, with a bounded buffer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from gatepost.conversation import StreamError

E = TypeVar("E")


class Lines:
    """Octets that were received and are not read yet.

    A line has at most `max_line` octets without its LF. A longer one of at most `max_passed_over`
    octets is skipped and read as None in its place; a line beyond that ends the stream.
    """

    __slots__ = ("_at", "_buffer", "_max_line", "_max_passed_over", "_passed_over", "_searched")

    def __init__(self, max_line: int, max_passed_over: int = 0) -> None:
        self._max_line = max_line
        self._max_passed_over = max_passed_over
        self._buffer = b""
        self._at = 0  # start of the next line in it
        self._searched = 0  # no line ends before this offset
        self._passed_over = 0  # octets of this line that were dropped

    @property
    def buffered(self) -> int:
        """Return the number of octets that wait to be read, or for the rest of their line."""
        return len(self._buffer) - self._at

    @property
    def mid_line(self) -> bool:
        """Return whether a line has begun and its end is not known to have arrived."""
        return self.buffered > 0 or self._passed_over > 0

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        if self._at:
            self._buffer = self._buffer[self._at :]
            self._searched -= self._at
            self._at = 0
        self._buffer += data

    def read(self) -> tuple[bytes | None] | None:
        """Return the next line without its LF, in a tuple of one; None if it is not complete yet.

        The tuple holds None for a line that was skipped. Raises `StreamError` for a line that does
        not end.
        """
        begin = self._at
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._wait_for_more()
            return None
        line = self._buffer[begin:end]
        self._at = self._searched = end + 1
        if self._at == len(self._buffer):
            self._buffer = b""
            self._at = self._searched = 0
        if self._passed_over or len(line) > self._max_line:
            passed_over, self._passed_over = self._passed_over + len(line), 0
            self._check(passed_over)
            return (None,)
        return (line,)

    def _wait_for_more(self) -> None:
        size = self.buffered
        if size > self._max_line or self._passed_over:
            self._passed_over += size
            self._buffer = b""
            self._at = 0
            self._check(self._passed_over)
        self._searched = len(self._buffer)

    def _check(self, size: int) -> None:
        if size > self._max_passed_over:
            raise StreamError(
                f"a line of more than {max(self._max_line, self._max_passed_over)} octets"
            )


class LineReader(ABC, Generic[E]):
    """The receiving half of a protocol with one command a line, of at most `max_line` octets."""

    def __init__(self, max_line: int) -> None:
        self._lines = Lines(max_line)

    @property
    def buffered(self) -> int:
        """Return the number of octets that wait for `next_event()` or for more octets."""
        return self._lines.buffered

    @property
    def mid_request(self) -> bool:
        """Return whether a line has begun and its end is not known to have arrived."""
        return self._lines.mid_line

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._lines.receive_data(data)

    def next_event(self) -> E | None:
        """Return the next event, or None when more octets are needed; raises `StreamError`."""
        while (read := self._lines.read()) is not None:
            event = self._read(read[0] or b"")
            if event is not None:
                return event
        return None

    @abstractmethod
    def _read(self, line: bytes) -> E | None:
        """Return the event of a line, or None for a line without one; raises `StreamError`."""
