"""The bounds of the policy server: times, connections, and memory for all requests together."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.reply import Reply
from policyd.protocol import MAX_REQUEST

COST = 4
"""Bytes of memory per received byte, as text: a character outside the Basic Multilingual Plane
takes four bytes for each, and so do the escapes of bytes that are not UTF-8."""
COST_OF_PARTS = 16 * 1024
"""Bytes that a request takes besides: 40 attributes, the task, the notes of the checks."""
SMALL = 4096
"""Bytes of an incomplete request that may always wait for the rest."""
READ_AHEAD = 2 * MAX_REQUEST
"""Bytes of pipelined requests that are read before the socket is paused."""

BUSY = Reply(451, "4.3.2", "too many requests in progress, please try again", "too-many-requests")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the server; times in seconds, `memory` in bytes for all requests together."""

    budget: float
    idle_timeout: float
    request_timeout: float
    max_connections: int
    memory: int
