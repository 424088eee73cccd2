"""Memory of the messages under way, counted for a whole worker and bounded.

The bound is on all messages together: each may be as large as `max_header` allows, and a few dozen
of that size that wait for silent name servers would otherwise fill any container. What is counted
is what the objects take, not what came over the wire: twenty thousand fields of four octets take
more than one of a megabyte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgauth.message import HeaderField

MESSAGE = 4096
"""Octets that a message takes beside its header: session, envelope, hashes."""
RECIPIENT = 80
"""Octets that a recipient takes besides its address."""
FIELD = 160
"""Octets that a header field takes besides its name and value while the header comes in, in CPython
3.11 to 3.13: three objects and a place in a list."""
KEPT_FIELD = 640
"""Octets for each field that is kept until the signatures are checked: DKIM and ARC find fields by
their name, each in a table of its own."""
COPIES = 3
"""A field that signatures cover is kept as it came, and in canonical form for DKIM and for ARC."""

NAME = 64
"""Octets for each name that a signature lists in h=: one object, which a name of one or two letters
takes as well as a long one."""

SIGNATURES = frozenset({b"dkim-signature", b"arc-message-signature"})
"""The fields whose h= names other fields."""


def received_cost(name: bytes, value: bytes) -> int:
    """Octets of memory that a field takes before the header is complete."""
    return FIELD + len(name) + len(value)


def kept_cost(fields: Iterable[HeaderField]) -> int:
    """Octets of memory that fields take until signatures are checked."""
    octets = 0
    for one in fields:
        octets += KEPT_FIELD + COPIES * (len(one.name) + len(one.value))
        if one.key in SIGNATURES:
            octets += NAME * one.value.count(b":")
    return octets


class Memory:
    """The octets that all messages of a worker hold together.

    `bound` says how much that may be now, in octets; None is no bound. A message that is alone may
    go beyond it, or none of its size would ever be taken: it has bounds of its own.
    """

    def __init__(self, bound: Callable[[], int] | None = None) -> None:
        self._bound = bound
        self.held = 0
        """Octets that are held now."""

    def has_room(self, octets: int, own: int) -> bool:
        """Return whether somebody who holds `own` octets may have `octets` more."""
        if self._bound is None or self.held == own:
            return True
        return self.held + octets <= self._bound()


class Holding:
    """The octets that one message, or the buffer of one connection, holds.

    They are given back when it is gone.

    It lives exactly as long as the objects that it counts, however they end: a message that is
    given up while it waits for DNS is in memory until that is over.
    """

    __slots__ = ("_memory", "octets")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.octets = 0

    def grow(self, octets: int) -> bool:
        """Hold more; False, and nothing is changed, where there is no room."""
        if not self._memory.has_room(octets, self.octets):
            return False
        self.set(self.octets + octets)
        return True

    def set(self, octets: int) -> None:
        """Hold so much, whether there is room or not."""
        self._memory.held += octets - self.octets
        self.octets = octets

    def __del__(self) -> None:
        self.set(0)
