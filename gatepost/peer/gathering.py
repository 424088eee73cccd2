"""Parts of a request, put together so that small ones do not cost a system call each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

PIECE: Final = 16 * 1024
"""Octets from which a piece is not held back."""


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the octets of `parts` in pieces of at least `PIECE` octets, but for the last one.

    A piece is shorter than `PIECE` and one more part together. No piece is empty.
    """
    held = bytearray()
    for part in parts:
        if not held and len(part) >= PIECE:
            yield part
            continue
        held += part
        if len(held) >= PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
