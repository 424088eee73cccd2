"""Fields separated by tabs, as in Dovecot's protocols.

In a field, NUL, 0x01, TAB, CR and LF are written as 0x01 and a letter.
"""

from __future__ import annotations

import re
from typing import Final

_LETTERS: Final = {b"\0": b"0", b"\1": b"1", b"\t": b"t", b"\r": b"r", b"\n": b"n"}
_OCTETS: Final = {letter: octet for octet, letter in _LETTERS.items()}
_SPECIAL: Final = re.compile(rb"[\x00\x01\t\r\n]")
_ESCAPED: Final = re.compile(rb"\x01(.?)", re.DOTALL)


def escape(text: str) -> bytes:
    """Return a text as the octets of one field."""
    octets = text.encode("utf-8", "replace")
    return _SPECIAL.sub(lambda found: b"\1" + _LETTERS[found[0]], octets)


def unescape(field: bytes) -> bytes:
    """Return the octets of a field.

    Other letters stand for themselves; 0x01 at the end is dropped.
    """
    if b"\1" not in field:
        return field
    return _ESCAPED.sub(lambda found: _OCTETS.get(found[1], found[1]), field)


def fields(line: bytes) -> list[bytes]:
    """Return the fields of a line; an empty line has one, which is empty."""
    return [unescape(field) for field in line.split(b"\t")]
