"""Chance applied to octets: what a broken or hostile sender makes of something valid."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

ODD: tuple[bytes, ...] = (
    b"", b"\0", b"\r", b"\n", b"\r\n", b"\t", b" ", b"\x7f", b"\xff", b"\xc3\xa4", b"\xe2\x80\xae",
    b'"', b"\\", b"(", b")", b"<", b">", b"@", b"[", b"]", b":", b";", b",", b"=", b"%", b"/",
    b"=?utf-8?Q?=40?=", b"=?utf-8?B?", b"?=", b"v=", b"b=", b"d=", b"s=", b"i=", b"p=", b"pass",
    b"%{", b"%{i}", b"%{l1r-}", b"redirect=", b"include:", b"-1", b"0", b"2147483648",
    b"99999999999999999999", b"xn--", b"xn--a", b"a" * 64, b"a." * 130, b"." * 10,
)  # fmt: skip
"""Pieces that parsers trip over."""


def mutate(data: bytes, random: Random, times: int = 4, pieces: Sequence[bytes] = ODD) -> bytes:
    """Change `data` in up to `times` places: drop, double, flip, swap, insert, cut."""
    for _ in range(random.randint(0, times)):
        at = random.randint(0, len(data))
        end = min(len(data), at + random.choice((1, 1, 2, 4, 8, 64)))
        match random.randrange(6):
            case 0:
                data = data[:at] + data[end:]
            case 1:
                data = data[:end] + data[at:end] * random.choice((1, 1, 2, 50)) + data[end:]
            case 2:
                data = data[:at] + random.randbytes(end - at) + data[end:]
            case 3:
                other = random.randint(0, len(data))
                data = data[:other] + data[at:end] + data[other:]
            case 4:
                data = data[:at] + random.choice(pieces) + data[at:]
            case _:
                if random.random() < 0.2:
                    data = data[:at]
    return data


def portions(data: bytes, random: Random) -> list[bytes]:
    """Cut `data` as a network may: whole, byte by byte, or anywhere."""
    match random.randrange(4):
        case 0:
            return [data]
        case 1 if len(data) < 3000:
            return [data[n : n + 1] for n in range(len(data))]
        case _:
            cuts = sorted(random.randint(0, len(data)) for _ in range(random.randint(0, 6)))
            return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
