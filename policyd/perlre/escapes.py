"""Parser of escapes: a backslash and the characters after it (perlrebackslash)."""

from __future__ import annotations

import re

from policyd.perlre import sets
from policyd.perlre.errors import PerlRegexError
from policyd.perlre.nodes import Anchor

ZERO_WIDTH = {
    "A": Anchor.BEGIN,
    "Z": Anchor.END,
    "z": Anchor.VERY_END,
    "b": Anchor.BOUNDARY,
    "B": Anchor.NO_BOUNDARY,
}
"""Letters that denote a position; not within brackets."""

_CONTROLS = {"a": "\a", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))")
_OCTAL = re.compile(r"o\{([0-7]{1,8})\}|(0[0-7]{0,2}|[1-7][0-7]{2})(?![0-9])")
_CONTROL = re.compile(r"c([@-_a-z])")
_NAMED = re.compile(r"N\{U\+([0-9A-Fa-f]{1,8})\}")


def set_escape(text: str, at: int) -> int | None:
    """Return the set of ``\\d`` or a similar escape at `at`; None if it is another one."""
    return sets.ESCAPES.get(text[at + 1 : at + 2])


def byte_escape(text: str, at: int) -> tuple[str, int]:
    """Return the single character escaped at `at`, and the position after it.

    Raises `PerlRegexError` for an escape that Perl does not know or that is not supported.
    """
    letter = text[at + 1 : at + 2]
    if not letter:
        raise PerlRegexError("a backslash at the end")
    if letter in _CONTROLS:
        return _CONTROLS[letter], at + 2
    if found := _HEX.match(text, at + 1):
        return _character(int(found[1] or found[2], 16)), found.end()
    if found := _OCTAL.match(text, at + 1):
        return _character(int(found[1] or found[2], 8)), found.end()
    if found := _NAMED.match(text, at + 1):
        code = int(found[1], 16)
        if code > 0x7F:
            raise PerlRegexError("a character beyond ASCII by its number is not supported")
        return chr(code), found.end()
    if found := _CONTROL.match(text, at + 1):
        return chr(ord(found[1].upper()) ^ 64), found.end()
    if letter.isascii() and letter.isalnum():
        hint = "; write [[:alpha:]] or [[:digit:]]" if letter in "pP" else ""
        raise PerlRegexError(f"\\{letter} is not supported{hint}")
    return letter, at + 2


def _character(code: int) -> str:
    if code > 0xFF:
        raise PerlRegexError("no name or address contains a character beyond 255")
    return chr(code)
