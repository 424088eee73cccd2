"""Writer of the packets that a milter sends to an MTA.

Texts are checked: a character that would end a text early, or begin another line, is a
`ValueError`.
"""

from __future__ import annotations

import struct
from typing import Final


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Return one packet."""
    return struct.pack(">I", 1 + len(data)) + command + data


CONTINUE: Final = packet(b"c")
"""Continue; at the end of a message: accept it."""


def insert_header(name: str, value: str) -> bytes:
    """Insert a field at the top of the header; folds of `value` are LF and white space."""
    return packet(b"i", b"\0\0\0\0" + _text(name) + _folded(value))


def delete_header(name: str, occurrence: int) -> bytes:
    """Remove the field that is the `occurrence`-th of its name, from 1."""
    # changing a field to an empty value removes it
    return packet(b"m", struct.pack(">I", occurrence) + _text(name) + b"\0")


def quarantine(reason: str) -> bytes:
    """Put the message into quarantine for the administrator."""
    return packet(b"q", _text(reason))


def reply(code: int, enhanced: str, text: str) -> bytes:
    """Answer the client with an SMTP reply of one line; 4xx or 5xx refuses the message."""
    # an MTA uses the text as a printf format
    return packet(b"y", _text(f"{code} {enhanced} {text}".replace("%", "%%")))


def _text(text: str) -> bytes:
    if "\n" in text:
        raise ValueError("a line break in a text of the milter protocol")
    return _folded(text)


def _folded(text: str) -> bytes:
    if "\0" in text or "\r" in text:
        raise ValueError("a NUL or CR in a text of the milter protocol")
    for line in text.split("\n")[1:]:
        if line[:1] not in (" ", "\t"):
            raise ValueError("a fold of a header field without white space")
    return text.encode() + b"\0"
