"""Tag before the subject of spam, for mail programs that show neither folders nor header fields.

It changes a field that DKIM signs, so the stored message no longer verifies.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from delivery.header_filter import SubjectPlace

MAX_LINE: Final = 998
"""Octets of a line without its end (RFC 5322 section 2.1.1)."""
_WORD_OCTETS: Final = 42
"""Octets of text in an encoded word, which has at most 75 characters (RFC 2047 section 2)."""
_NAME: Final = len("Subject:")


class SubjectAddition(NamedTuple):
    """Additions to a message: a field on top, and octets at places in the filtered message."""

    head: bytes = b""
    insertions: tuple[tuple[int, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Return the octets that are added."""
        return len(self.head) + sum(len(text) for _, text in self.insertions)


NO_TAG: Final = SubjectAddition()


def subject_tag(tag: str, subjects: Iterable[SubjectPlace]) -> SubjectAddition:
    """Return the additions for a tag of printable text; each Subject that lacks it gets it."""
    insertions = []
    has_subject = False
    for place in subjects:
        has_subject = True
        value = place.line.strip()
        if not value.startswith((tag.encode(), _encoded(tag, is_apart=False))):
            insertions.append((place.start, _inserted(tag, place.line)))
    head = b"" if has_subject else b"Subject: %b\r\n" % _encoded(tag, is_apart=False)
    return SubjectAddition(head, tuple(insertions))


def _inserted(tag: str, line: bytes) -> bytes:
    value = line.strip()
    # a blank between two encoded words is not shown (RFC 2047 section 6.2): the tag needs its own
    text = b" " + _encoded(tag, is_apart=not value or value.startswith(b"=?"))
    blank = b"" if line[:1] in (b" ", b"\t", b"\r") else b" "
    if _NAME + len(text) + len(blank) + len(line.rstrip(b"\r\n")) <= MAX_LINE or not value:
        return text + blank
    # the rest begins with a blank, so it is a folded line (RFC 5322 section 2.2.3)
    return text + b"\r\n" + blank


def _encoded(tag: str, *, is_apart: bool) -> bytes:
    """Return a tag as it stands in a field; `is_apart`: an encoded word or nothing follows."""
    if tag.isascii() and "=?" not in tag:
        return tag.encode("ascii")
    words = [
        b"=?UTF-8?B?%b?=" % base64.b64encode(part)
        for part in _parts(tag + " " if is_apart else tag)
    ]
    return b" ".join(words)


def _parts(text: str) -> Iterator[bytes]:
    """Yield text in pieces of whole characters (RFC 2047 section 5)."""
    part = b""
    for char in text:
        octets = char.encode()
        if len(part) + len(octets) > _WORD_OCTETS:
            yield part
            part = b""
        part += octets
    yield part
