"""Base of readers of an answer that has a status line, header lines and a body."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from delivery.protocols.line_buffer import LineBuffer
from gatepost.peer.errors import PeerError


class HeadReader(ABC):
    """Reader of the head; a subclass reads the body. Octets after the answer are ignored.

    `what` names the answer in errors. `max_line` is in octets, `max_lines` counts header lines.
    """

    def __init__(
        self, what: str, status: re.Pattern[bytes], *, max_line: int, max_lines: int
    ) -> None:
        self._what = what
        self._pattern = status
        self._max_lines = max_lines
        self._buffer = LineBuffer(max_line)
        self._status: re.Match[bytes] | None = None
        self._lines = 0
        self._in_body = False
        self._is_over = False
        self._is_done = False

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        if not self._is_done:
            self._buffer.receive_data(data)

    def receive_eof(self) -> None:
        """Take the end of the connection."""
        self._is_over = True

    def _read_head(self) -> bool:
        """Read the lines that are there; return whether the body follows. Raises `PeerError`."""
        while not self._in_body and (line := self._buffer.line()) is not None:
            self._take_line(line)
        return self._in_body

    def _take_line(self, line: bytes) -> None:
        if self._status is None:
            self._status = self._pattern.match(line)
            if self._status is None:
                raise PeerError(f"not {self._what}: {line[:60]!a}")
            return
        if not line:
            self._in_body = True
            return
        self._lines += 1
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or self._lines > self._max_lines:
            raise PeerError(f"a wrong header in {self._what}: {line[:60]!a}")
        self._take_header(name.strip().lower(), value.strip())

    @abstractmethod
    def _take_header(self, name: str, value: str) -> None:
        """Take a header, whose name is in lower case."""
