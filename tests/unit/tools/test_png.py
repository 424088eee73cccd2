"""Pictures of documentation: read as Chromium writes them, and made small."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from tests.testbed.png import SIGNATURE, PngError, read, reduced

WIDTH, HEIGHT = 7, 10


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def written(lines: list[list[tuple[int, ...]]], filters: list[int], kind: int = 2) -> bytes:
    """Return a picture whose lines have these filters, by the formulas of RFC 2083 section 6."""
    channels = len(lines[0][0])
    octets, before = b"", bytes(WIDTH * channels)
    for pixels, number in zip(lines, filters, strict=True):
        line = bytes(value for pixel in pixels for value in pixel)
        coded = bytearray([number])
        for place, value in enumerate(line):
            a = line[place - channels] if place >= channels else 0
            b = before[place]
            c = before[place - channels] if place >= channels else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            coded.append((value - (0, a, b, (a + b) // 2, nearest)[number]) % 256)
        octets += bytes(coded)
        before = line
    head = struct.pack(">IIBBBBB", WIDTH, len(lines), 8, kind, 0, 0, 0)
    data = zlib.compress(octets)
    parts = (chunk(b"IDAT", data[:9]), chunk(b"IDAT", data[9:]), chunk(b"IEND", b""))
    return SIGNATURE + chunk(b"IHDR", head) + b"".join(parts)


def noise(channels: int) -> list[list[tuple[int, ...]]]:
    dice = random.Random(1)
    return [
        [tuple(dice.randrange(256) for _ in range(channels)) for _ in range(WIDTH)]
        for _ in range(HEIGHT)
    ]


@pytest.mark.parametrize("channels", [3, 4])
def test_each_filter_is_undone(channels: int) -> None:
    lines = noise(channels)
    picture = written(lines, [0, 1, 2, 3, 4] * 2, 2 if channels == 3 else 6)
    width, height, pixels = read(picture)
    assert (width, height) == (WIDTH, HEIGHT)
    assert pixels == [pixel[:3] for line in lines for pixel in line]


def test_few_colours_stay_as_they_are_and_others_become_the_nearest() -> None:
    white: tuple[int, ...] = (255, 255, 255)
    black: tuple[int, ...] = (0, 0, 0)
    grey: tuple[int, ...] = (250, 250, 250)
    lines = [[white] * 5 + [black] * 2 for _ in range(HEIGHT)]
    lines[3][1] = grey
    made = reduced(written(lines, [0] * HEIGHT), colours=2)
    head = struct.unpack(">IIBBBBB", made[16:29])
    assert head == (WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    place = made.index(b"PLTE")
    assert made[place + 4 : place + 10] == bytes(white + black)
    place = made.index(b"IDAT")
    (length,) = struct.unpack(">I", made[place - 4 : place])
    indexes = zlib.decompress(made[place + 4 : place + 4 + length])
    assert indexes == (b"\0" + b"\0" * 5 + b"\1" * 2) * HEIGHT
    assert made.endswith(chunk(b"IEND", b""))


def test_what_is_no_such_picture_is_refused() -> None:
    good = written(noise(3), [0] * HEIGHT)
    for bad in (b"GIF89a", good.replace(b"\x08\x02\0\0\0", b"\x08\x03\0\0\0")):
        with pytest.raises(PngError):
            read(bad)
    with pytest.raises(PngError, match="filter 9"):
        read(SIGNATURE + good[8:].replace(*_filter_nine(good)))


def _filter_nine(good: bytes) -> tuple[bytes, bytes]:
    """Return the data of a picture, and the same with a filter that does not exist."""
    place = good.index(b"IDAT") - 4
    end = good.index(b"IEND") - 4
    data = b"".join((good[place + 8 : place + 17], good[place + 29 : end - 4]))
    octets = bytearray(zlib.decompress(data))
    octets[0] = 9
    return good[place:end], chunk(b"IDAT", zlib.compress(bytes(octets)))
