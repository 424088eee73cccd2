"""Generated conversations, played to libmilter and to us."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from random import Random

from tests.fuzz import milter as fuzz
from tests.fuzz.target import Target
from tests.libmilter import ours
from tests.libmilter.conversation import PROBE, Conversation
from tests.libmilter.following import DIFFERENCES, follow
from tests.libmilter.oracle import Oracle
from tests.libmilter.recording import BROKEN, SETTINGS
from tests.unit.milters.test_protocol import packet


@functools.cache
def oracle() -> Oracle:
    """One for this process; it ends with it."""
    return Oracle()


@contextmanager
def ending_oracle() -> Iterator[Oracle]:
    """Yield the oracle of this process, which ends with the block."""
    yield oracle()
    oracle().close()
    oracle.cache_clear()


def make(random: Random) -> Conversation:
    """Draw a conversation, with a question at its end that tells whether it is still open."""
    is_unix, portions = fuzz.make(random)
    octets = b"".join(portions)
    if random.random() < 0.05:
        end = packet(b"N")
        octets = octets.replace(end, packet(b"L", BROKEN + b"\0 x\0") + end, 1)
    if random.random() < 0.7:
        octets = octets.removesuffix(packet(b"Q")) + PROBE
    wishes = "unix" if is_unix else "tcp"
    return Conversation(octets, wishes, random.choice(list(SETTINGS)))  # type: ignore[arg-type]


def check(conversation: Conversation, allowed: Collection[str] = DIFFERENCES) -> None:
    """libmilter does what we do, or exactly what a difference that is named and allowed says."""
    followed = follow(conversation)
    assert set(followed.names) <= set(allowed), followed.names
    reference = oracle().play(followed.heard)
    assert reference == followed.played, f"libmilter: {reference}\nexpected: {followed}"
    played, error = ours.play(conversation)
    if played == reference and followed.heard == conversation:
        return
    assert followed.names, f"a difference without a name; we: {played}, {error}"
    if all(DIFFERENCES[name] == "close" for name in followed.names):
        assert error, f"we followed: {played}, {followed.names}"


TARGET = Target("libmilter", 20_000, make, check)
