"""Ways to hand octets to a protocol: whole, byte by byte, and cut at every place."""

from __future__ import annotations

from collections.abc import Iterator


def portions(data: bytes) -> Iterator[list[bytes]]:
    """Yield the ways to cut data into portions."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
