"""Detector of signed content that Postfix may change after the milter, which breaks signatures.

A milter cannot fix this, because it must not change the body: the program that wrote the message
must write it differently. Log and metrics report it, so that the cause is easy to find.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgauth.dkim import HeaderPolicy
from msgauth.message import HeaderField

# RFC 5322 section 2.1.1: a line has at most 998 octets without its CRLF
MAX_LINE: Final = 998
"""Maximum octets of a line, without its end, that Postfix sends unchanged
(smtp_line_length_limit)."""

REASON_LONG_LINE: Final = "long-line"
REASON_EIGHT_BIT: Final = "eight-bit"

_CR: Final = 13


class FragileParts:
    """Examines the signed parts of one message; the body arrives in chunks, cut anywhere.

    It needs one search per thousand octets, and keeps less than `MAX_LINE` + 2 octets.
    """

    __slots__ = ("_has_eight_bit", "_has_long_line", "_tail")

    def __init__(self, fields: Iterable[HeaderField], policies: Iterable[HeaderPolicy]) -> None:
        self._has_long_line = _has_long_field(fields, policies)
        self._has_eight_bit = False
        self._tail = b""  # the line that has not ended yet

    def update(self, chunk: bytes) -> None:
        """Take the next chunk of the body."""
        if not self._has_eight_bit and not chunk.isascii():
            self._has_eight_bit = True
        if not self._has_long_line:
            self._look_for_long_line(self._tail + chunk if self._tail else chunk)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the reason ids of what may break: see `milters.reasons.FRAGILE`."""
        found = []
        if self._has_long_line:
            found.append(REASON_LONG_LINE)
        if self._has_eight_bit:
            found.append(REASON_EIGHT_BIT)
        return tuple(found)

    def _look_for_long_line(self, text: bytes) -> None:
        # Finding the last line end within reach is enough: the lines before it are shorter.
        rfind = text.rfind
        start, size = 0, len(text)
        while size - start > MAX_LINE:
            end = rfind(b"\n", start, start + MAX_LINE + 2)
            if not start <= end <= start + MAX_LINE and self._is_cut(text, start, end):
                self._has_long_line = True
                break
            if end < 0:
                break
            start = end + 1
        self._tail = b"" if self._has_long_line else text[start:]

    @staticmethod
    def _is_cut(text: bytes, start: int, end: int) -> bool:
        """Return whether the line at `start` is too long; `end` is -1, or 999 octets after
        `start`."""
        if end < 0:
            # the CR of an incomplete line end does not count
            return len(text) - start > MAX_LINE + 1 or text[-1] != _CR
        return text[end - 1] != _CR and text.find(b"\n", start, end) < 0


def _has_long_field(fields: Iterable[HeaderField], policies: Iterable[HeaderPolicy]) -> bool:
    covered = frozenset[bytes]().union(*(policy.keys for policy in policies))
    return any(
        # most fields are shorter in total
        len(one.name) + len(one.value) >= MAX_LINE
        and one.key in covered
        and max(map(len, bytes(one).split(b"\r\n"))) > MAX_LINE
        for one in fields
    )
