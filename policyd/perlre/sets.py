"""Sets of bytes, as integers with one bit for each of the 256 values.

The classes are those of Perl for byte strings: only ASCII has letters, digits and case. ``\\h``,
``\\v`` and ``\\R`` also include the two bytes that are white space in Latin-1.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

ALL = (1 << 256) - 1


def of(characters: Iterable[str]) -> int:
    """Return the set of some characters below 256."""
    mask = 0
    for character in characters:
        mask |= 1 << ord(character)
    return mask


def span(first: str, last: str) -> int:
    """Return the set of all characters from `first` to `last`."""
    return (1 << ord(last) + 1) - (1 << ord(first))


def complement(mask: int) -> int:
    """Return the bytes that are not in the set."""
    return ALL & ~mask


_UPPER = span("A", "Z")
_LOWER = span("a", "z")


def folded(mask: int) -> int:
    """Return the set with both cases of each ASCII letter in it."""
    return mask | (mask & _UPPER) << 32 | (mask & _LOWER) >> 32


@lru_cache(maxsize=1024)
def members(mask: int) -> str:
    """Return the characters of the set in order; cached, because expressions have few different
    sets."""
    return "".join(chr(code) for code in range(256) if mask >> code & 1)


NEWLINE = of("\n")
DIGIT = span("0", "9")
WORD = _UPPER | _LOWER | DIGIT | of("_")
SPACE = of(" \t\n\v\f\r")
HORIZONTAL = of(" \t\xa0")
VERTICAL = of("\n\v\f\r\x85")

POSIX = {
    "alnum": _UPPER | _LOWER | DIGIT,
    "alpha": _UPPER | _LOWER,
    "ascii": span("\0", "\x7f"),
    "blank": of(" \t"),
    "cntrl": span("\0", "\x1f") | of("\x7f"),
    "digit": DIGIT,
    "graph": span("!", "~"),
    "lower": _LOWER,
    "print": span(" ", "~"),
    "punct": span("!", "~") & complement(_UPPER | _LOWER | DIGIT),
    "space": SPACE,
    "upper": _UPPER,
    "word": WORD,
    "xdigit": DIGIT | span("A", "F") | span("a", "f"),
}
"""Classes written ``[:name:]`` within brackets."""

ESCAPES = {
    "d": DIGIT,
    "D": complement(DIGIT),
    "w": WORD,
    "W": complement(WORD),
    "s": SPACE,
    "S": complement(SPACE),
    "h": HORIZONTAL,
    "H": complement(HORIZONTAL),
    "v": VERTICAL,
    "V": complement(VERTICAL),
}
"""Sets written as a backslash and a letter."""
