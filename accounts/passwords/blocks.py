"""The compression functions of MD4 and MD5, for two schemes that the standard library cannot check.

OpenSSL 3 has no MD4 without its legacy provider, and CRAM-MD5 stores the state of MD5 in the middle
of HMAC, which `hashlib` does not give out. Both are broken hashes: they are here only so that a
password of another system can be checked once and then be hashed anew.
"""

from __future__ import annotations

import math
import struct
from typing import Final, TypeAlias

BlockState: TypeAlias = tuple[int, int, int, int]

_START: Final[BlockState] = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_MASK: Final = 0xFFFFFFFF
_SINES: Final = tuple(int(abs(math.sin(i + 1)) * 2**32) & _MASK for i in range(64))
_MD5_SHIFTS: Final = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_MD4_SHIFTS: Final = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_MD4_ADDED: Final = (0, 0x5A827999, 0x6ED9EBA1)
_MD4_ORDER: Final = (
    tuple(range(16)),
    tuple(4 * (i % 4) + i // 4 for i in range(16)),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return (value << by | value >> (32 - by)) & _MASK


def _add(first: BlockState, second: BlockState) -> BlockState:
    a, b, c, d = ((x + y) & _MASK for x, y in zip(first, second, strict=True))
    return a, b, c, d


def md5_block(block: bytes, state: BlockState = _START) -> BlockState:
    """Return the state of MD5 after a block of 64 octets (RFC 1321 section 3.4)."""
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for i in range(64):
        step = i // 16
        if step == 0:
            mixed, k = b & c | ~b & d, i
        elif step == 1:
            mixed, k = d & b | ~d & c, (5 * i + 1) % 16
        elif step == 2:
            mixed, k = b ^ c ^ d, (3 * i + 5) % 16
        else:
            mixed, k = c ^ (b | ~d & _MASK), 7 * i % 16
        total = a + mixed + _SINES[i] + words[k]
        a, d, c, b = d, c, b, (b + _rotate(total, _MD5_SHIFTS[step][i % 4])) & _MASK
    return _add(state, (a, b, c, d))


def _md4_block(block: bytes, state: BlockState) -> BlockState:
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for i in range(48):
        step = i // 16
        if step == 0:
            mixed = b & c | ~b & d
        elif step == 1:
            mixed = b & c | b & d | c & d
        else:
            mixed = b ^ c ^ d
        total = a + mixed + words[_MD4_ORDER[step][i % 16]] + _MD4_ADDED[step]
        a, d, c, b = d, c, b, _rotate(total, _MD4_SHIFTS[step][i % 4])
    return _add(state, (a, b, c, d))


def md4(message: bytes) -> bytes:
    """Return the MD4 digest of a message, 16 octets (RFC 1320)."""
    padded = message + b"\x80" + bytes((55 - len(message)) % 64)
    padded += struct.pack("<Q", 8 * len(message))
    state = _START
    for at in range(0, len(padded), 64):
        state = _md4_block(padded[at : at + 64], state)
    return struct.pack("<4I", *state)


def md5_state(block: bytes) -> bytes:
    """Return the state of MD5 after one block of 64 octets, as 16 octets."""
    return struct.pack("<4I", *md5_block(block))
