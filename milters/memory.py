"""Memory of the messages in progress, counted and limited for a whole worker.

The limit applies to all messages together: each may be as large as `max_header` allows, and a few
dozen of that size waiting for silent name servers would otherwise fill any container. It counts the
size of the objects, not the octets on the wire: twenty thousand fields of four octets take more
than one of a megabyte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgauth.message import HeaderField

MESSAGE = 4096
"""Octets that a message takes besides its header: session, envelope, hashes."""
RECIPIENT = 80
"""Octets that a recipient takes besides its address."""
FIELD = 160
"""Octets that a header field takes besides its name and value while the header arrives, in CPython
3.11 to 3.13: three objects and a place in a list."""
KEPT_FIELD = 640
"""Octets for each field kept until the signatures are checked: DKIM and ARC each have a table of
fields by name."""
COPIES = 3
"""A signed field is kept in its original form, and in canonical form for DKIM and for ARC."""

NAME = 64
"""Octets for each name listed in h= of a signature: one object, of the same size for short and long
names."""

SIGNATURES = frozenset({b"dkim-signature", b"arc-message-signature"})
"""The fields whose h= names other fields."""


def received_cost(name: bytes, value: bytes) -> int:
    """Return the octets of memory that a field takes before the header is complete."""
    return FIELD + len(name) + len(value)


def kept_cost(fields: Iterable[HeaderField]) -> int:
    """Return the octets of memory that fields take until the signatures are checked."""
    octets = 0
    for one in fields:
        octets += KEPT_FIELD + COPIES * (len(one.name) + len(one.value))
        if one.key in SIGNATURES:
            octets += NAME * one.value.count(b":")
    return octets


class Memory:
    """The octets held by all messages of a worker together.

    `bound` returns the current limit in octets; None means no limit. A single message may exceed
    it, or a message of its size would never be accepted; it has limits of its own.
    """

    def __init__(self, bound: Callable[[], int] | None = None) -> None:
        self._bound = bound
        self.held = 0
        """Octets held now."""

    def has_room(self, octets: int, own: int) -> bool:
        """Return whether a holder of `own` octets may have `octets` more."""
        if self._bound is None or self.held == own:
            return True
        return self.held + octets <= self._bound()


class Holding:
    """The octets that one message, or the buffer of one connection, holds.

    They are released when the object is deleted.

    It lives exactly as long as the objects that it counts, however they end: a message that is
    aborted while it waits for DNS stays in memory until the wait is over.
    """

    __slots__ = ("_memory", "octets")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.octets = 0

    def grow(self, octets: int) -> bool:
        """Hold more; returns False and changes nothing if there is no room."""
        if not self._memory.has_room(octets, self.octets):
            return False
        self.set(self.octets + octets)
        return True

    def set(self, octets: int) -> None:
        """Hold exactly this much, whether there is room or not."""
        self._memory.held += octets - self.octets
        self.octets = octets

    def __del__(self) -> None:
        self.set(0)
