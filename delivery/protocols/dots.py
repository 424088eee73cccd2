"""Transparency of the content of a message: dots at the beginning of lines, and its end.

RFC 5321 section 4.5.2: a line that begins with a dot gets one more in transit, and a lone dot ends
the content. Only CRLF begins a line here: an end that a lone LF or CR pretends to make is content.
"""

from __future__ import annotations

from typing import Final

_END: Final = b"\r\n.\r\n"
_PREFIXES: Final = tuple(_END[:size] for size in range(len(_END) - 1, 0, -1))


class DotReader:
    """Reader of one content; holds back at most four octets that could begin its end."""

    __slots__ = ("_held", "_skip", "is_ended")

    def __init__(self) -> None:
        self._held = b"\r\n"  # the line before, whose end begins our first line
        self._skip = 2
        self.is_ended = False
        """Return whether the end was read."""

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the content in `data` without its extra dots, and the octets after its end."""
        data = self._held + data
        end = data.find(_END)
        if end >= 0:
            self.is_ended = True
            content, rest, self._held = data[: end + 2], data[end + len(_END) :], b""
        else:
            rest = b""
            self._held = next((one for one in _PREFIXES if data.endswith(one)), b"")
            content = data[: len(data) - len(self._held)]
        content = content.replace(b"\r\n.", b"\r\n")
        if self._skip:
            skipped = min(self._skip, len(content))
            content, self._skip = content[skipped:], self._skip - skipped
        return content, rest


class DotWriter:
    """Writer of one content."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"  # the last octets that were written

    def write(self, data: bytes) -> bytes:
        """Return content as it is sent."""
        if not data:
            return b""
        before = self._last
        self._last = (before + data[-2:])[-2:]
        # the end of the last chunk may begin a line
        return (before + data).replace(b"\r\n.", b"\r\n..")[len(before) :]

    def end(self) -> bytes:
        """Return the end; an incomplete last line is completed."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"
