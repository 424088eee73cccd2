"""What a milter tells an MTA: packets out.

Texts are checked: what would end a text early, or begin a line that is not ours, is a `ValueError`.
"""

from __future__ import annotations

import struct
from typing import Final


def packet(command: bytes, data: bytes = b"") -> bytes:
    """One packet."""
    return struct.pack(">I", 1 + len(data)) + command + data


CONTINUE: Final = packet(b"c")
"""Go on; at the end of a message: take it."""


def insert_header(name: str, value: str) -> bytes:
    """Put a field on top of the header; folds of `value` are LF and white space."""
    return packet(b"i", b"\0\0\0\0" + _text(name) + _folded(value))


def delete_header(name: str, occurrence: int) -> bytes:
    """Remove the field that is the `occurrence`-th of its name, from 1."""
    # a field that is changed to nothing goes
    return packet(b"m", struct.pack(">I", occurrence) + _text(name) + b"\0")


def quarantine(reason: str) -> bytes:
    """Let the message wait for the administrator."""
    return packet(b"q", _text(reason))


def reply(code: int, enhanced: str, text: str) -> bytes:
    """Answer the client with an SMTP reply of one line; 4xx or 5xx refuses the message."""
    # an MTA takes it for a format of printf
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
