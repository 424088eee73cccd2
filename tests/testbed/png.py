"""Pictures in PNG with few colours, which are small: screens have large areas of one colour.

It reads what Chromium writes: 8 bits for each of three or four channels, not interlaced.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR, _WITH_ALPHA, _INDEXED = 2, 6, 3
"""Colour types (RFC 2083 section 4.1.1)."""

Colour = tuple[int, int, int]


class PngError(ValueError):
    """The octets are not a picture that can be read here."""


def reduced(octets: bytes, colours: int = 64) -> bytes:
    """Return a picture with a palette of its most frequent colours, 256 at most.

    Each other colour becomes the nearest of them. Raises `PngError`.
    """
    width, height, pixels = read(octets)
    counted = Counter(pixels)
    palette = [colour for colour, _ in counted.most_common(colours)]
    place = {colour: number for number, colour in enumerate(palette)}
    for colour in counted.keys() - place.keys():
        far = [_distance(one, colour) for one in palette]
        place[colour] = far.index(min(far))
    indexes = bytes(place[colour] for colour in pixels)
    lines = b"".join(b"\0" + indexes[y * width : (y + 1) * width] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, _INDEXED, 0, 0, 0)
    chunks = (
        (b"IHDR", head),
        (b"PLTE", bytes(value for colour in palette for value in colour)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def read(octets: bytes) -> tuple[int, int, list[Colour]]:
    """Return width, height and the pixels line by line, without alpha. Raises `PngError`."""
    if not octets.startswith(SIGNATURE):
        raise PngError("it is no PNG")
    chunks = list(_chunks(octets))
    width, height, depth, kind, *_, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    channels = {_TRUECOLOUR: 3, _WITH_ALPHA: 4}.get(kind, 0)
    if depth != 8 or not channels or interlace:
        raise PngError(f"it has {depth} bits, colour type {kind} or is interlaced")
    data = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    pixels: list[Colour] = []
    size = width * channels
    before = bytearray(size)
    for start in range(0, height * (1 + size), 1 + size):
        line = bytearray(data[start + 1 : start + 1 + size])
        _unfilter(data[start], line, before, channels)
        pixels += zip(line[0::channels], line[1::channels], line[2::channels], strict=True)
        before = line
    return width, height, pixels


def _unfilter(kind: int, line: bytearray, before: bytearray, step: int) -> None:
    """Undo the filter of a line (RFC 2083 section 6)."""
    if kind == 0:
        return
    if kind == 2:
        line[:] = bytes((one + above) & 0xFF for one, above in zip(line, before, strict=True))
        return
    guess = {1: _left, 3: _average, 4: _paeth}.get(kind)
    if guess is None:
        raise PngError(f"there is no filter {kind}")
    for place in range(len(line)):
        left, corner = (line[place - step], before[place - step]) if place >= step else (0, 0)
        line[place] = (line[place] + guess(left, before[place], corner)) & 0xFF


def _left(left: int, above: int, corner: int) -> int:  # noqa: ARG001 # one of three
    return left


def _average(left: int, above: int, corner: int) -> int:  # noqa: ARG001
    return (left + above) // 2


def _paeth(left: int, above: int, corner: int) -> int:
    # RFC 2083 section 6.6
    guess = left + above - corner
    far_left, far_above, far_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
    if far_left <= far_above and far_left <= far_corner:
        return left
    return above if far_above <= far_corner else corner


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _chunks(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(octets):
        (length,) = struct.unpack_from(">I", octets, place)
        yield octets[place + 4 : place + 8], octets[place + 8 : place + 8 + length]
        place += 12 + length
