"""Deadline: a time limit for a whole exchange, however many octets arrive in time."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from typing import Any

from gatepost.config.types import print_duration

PIECE = 16 << 10
"""Octets that are sent between two looks at the clock."""


class Deadline:
    """The end of an exchange, `seconds` after this object was made.

    The time limit of a socket starts again with each octet that arrives.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def limit(self, connection: socket.socket) -> None:
        """Give the next operation of a socket the rest of the time; raises `TimeoutError`."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(str(self))
        connection.settimeout(left)

    def __str__(self) -> str:
        return f"timed out after {print_duration(self._seconds)}"

    def pieces(self, connection: socket.socket, octets: bytes) -> Iterator[bytes]:
        """Yield parts of `octets`, each of which is sent within the rest of the time."""
        for start in range(0, len(octets), PIECE):
            self.limit(connection)
            yield octets[start : start + PIECE]

    def response(self, connection: socket.socket, method: str) -> http.client.HTTPResponse:
        """Return the HTTP response that is read from a socket until the deadline."""
        made = http.client.HTTPResponse(connection, method=method)
        made.fp = io.BufferedReader(_LimitedReader(made.fp.detach(), connection, self))
        return made


class _LimitedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._deadline.limit(self._connection)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
