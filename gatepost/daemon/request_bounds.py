"""The bounds and the metrics of a server that answers requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """Bounds of one server; times are in seconds."""

    idle_timeout: float
    """A connection that says nothing for longer is closed."""
    request_timeout: float
    """The end of a request comes within this time after its beginning, and an answer is read."""
    answer_timeout: float
    """An answer takes at most this long; then a temporary error is sent."""
    max_connections: int
    """Connections of all sockets of the server together."""


class Adding(Protocol):
    """A gauge, as `gatepost.metrics` has them."""

    def add(self, amount: float, /) -> None:
        """Add to the number."""


class Counting(Protocol):
    """A counter, as `gatepost.metrics` has them."""

    def inc(self) -> None:
        """Add one."""


@dataclass(frozen=True, slots=True)
class ServerCounts:
    """The metrics of one server."""

    connections: Adding
    """Connections that are open."""
    refused: Counting
    """Connections that were closed at once, because all others were busy."""
    made_room: Counting
    """Silent connections that were closed for another one, at the bound."""
    malformed: Counting
    """Octets that are no request."""
    failed: Counting
    """Requests that got a temporary error, because answering them failed or took too long."""
