"""The bounds of the policy server: times, connections, and memory for all requests together."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.reply import Reply
from policyd.protocol import MAX_REQUEST

COST = 4
"""Bytes that a request takes for each that came, as text: a character outside of the Basic
Multilingual Plane makes four of each, and so do the escapes of what is no UTF-8."""
COST_OF_PARTS = 16 * 1024
"""Bytes that the parts of a request take besides: 40 attributes, the task, what checks noted."""
SMALL = 4096
"""Bytes of half a request that may always wait for the rest."""
READ_AHEAD = 2 * MAX_REQUEST
"""Bytes of pipelined requests that are taken before the socket is left to wait."""

BUSY = Reply(451, "4.3.2", "too many requests are under way, please try again", "too-many-requests")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the server; times in seconds, `memory` in bytes for all requests together."""

    budget: float
    idle_timeout: float
    request_timeout: float
    max_connections: int
    memory: int
