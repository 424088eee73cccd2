"""A conversation as an MTA holds it, and what came of it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.libmilter.recording import Event
from tests.unit.milters.test_protocol import packet

PROBE = packet(b"U", b"NOOP\0")
"""A question that either side answers as long as the connection lives."""


@dataclass(frozen=True)
class Conversation:
    """The octets of an MTA from the first to the last; then it hangs up.

    `rules` are of `tests.libmilter.recording.SETTINGS`.
    """

    octets: bytes
    wishes: Literal["tcp", "unix"] = "unix"
    rules: str = "default"

    def until(self, end: int) -> Conversation:
        """Return the conversation of an MTA that hangs up after so many octets."""
        return Conversation(self.octets[:end], self.wishes, self.rules)


@dataclass
class Played:
    """The events of a session and the answers to the MTA.

    A negotiation is shown as its numbers and the macros by stage, any other answer as its octets.
    """

    events: list[Event]
    answers: list[Any]


def packets(octets: bytes) -> list[bytes]:
    """Whole packets, each from its command on."""
    found, position = [], 0
    while position < len(octets):
        (size,) = struct.unpack(">I", octets[position : position + 4])
        position += 4 + size
        if position > len(octets):
            raise ValueError("half a packet")
        found.append(octets[position - size : position])
    return found


def answers(octets: bytes) -> list[Any]:
    """Return the packets of a milter as `Played` shows them."""
    return [_terms(one[1:]) if one[:1] == b"O" else one for one in packets(octets)]


def _terms(data: bytes) -> tuple[Sequence[int], dict[int, bytes]]:
    numbers, lists = struct.unpack(">III", data[:12]), data[12:]
    macros = {}
    while lists:
        names, _, rest = lists[4:].partition(b"\0")
        macros[int.from_bytes(lists[:4], "big")] = names
        lists = rest
    return numbers, macros
