"""Buffer of octets that is read line by line or as a block, with a limit for both."""

from __future__ import annotations

from gatepost.peer.errors import PeerError


class LineBuffer:
    """Octets that were received and not read yet."""

    __slots__ = ("_buffer", "_max_line", "_searched")

    def __init__(self, max_line: int) -> None:
        self._buffer = bytearray()
        self._max_line = max_line
        self._searched = 0

    def __len__(self) -> int:
        return len(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Take octets from the socket."""
        self._buffer += data

    def line(self) -> bytes | None:
        """Return the next line without its LF or CRLF, or None if it is not complete.

        Raises `PeerError` for a line of more than the maximum.
        """
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            self._check(len(self._buffer))
            return None
        self._check(end)
        line = bytes(self._buffer[:end])
        self._drop(end + 1)
        return line.removesuffix(b"\r")

    def block(self, size: int) -> bytes | None:
        """Return exactly `size` octets, or None if there are fewer."""
        if len(self._buffer) < size:
            return None
        block = bytes(self._buffer[:size])
        self._drop(size)
        return block

    def rest(self) -> bytes:
        """Return everything that is here."""
        rest = bytes(self._buffer)
        self._drop(len(rest))
        return rest

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._searched = 0

    def _check(self, size: int) -> None:
        if size > self._max_line:
            raise PeerError(f"a line of more than {self._max_line} octets")
