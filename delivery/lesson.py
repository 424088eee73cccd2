"""Lesson: a message as the spam filter learns it.

It is the message as it was scanned: without the fields that the store and this proxy have written
on top of it, and without results of authentication. So the words that are learned are those that a
scan looks for, and the same message always makes the same lesson: only then can it be forgotten.
"""

from __future__ import annotations

import enum
import hashlib
import re
from typing import Final, NamedTuple

from delivery.header_filter import HeaderFilter

MARGIN: Final = 256 << 10
"""Octets that are read of a message beyond those that are learned: fields that are left out."""
MAX_TOP: Final = 64 << 10
"""Octets from the top within which our mark is looked for."""

_STATUS: Final = re.compile(rb"(?im)^X-Spam-Status:[^\n]*\n(?:[ \t][^\n]*\n)*")
_END: Final = re.compile(rb"\r?\n\r?\n")
_RETURN_PATH: Final = re.compile(rb"(?im)\AReturn-Path:[ \t]*<([^>\r\n]{0,1000})>")


class LessonClass(enum.StrEnum):
    """Class of a lesson; the words are those of SPAMC and of our requests."""

    SPAM = "spam"
    HAM = "ham"

    @property
    def other(self) -> LessonClass:
        """Return the opposite."""
        return LessonClass.HAM if self is LessonClass.SPAM else LessonClass.SPAM


class Lesson(NamedTuple):
    """A message to learn; `digest` (SHA-256) is its identity."""

    octets: bytes
    digest: bytes


class StoredTop(NamedTuple):
    """The part of a stored message that was written at its delivery, and the rest."""

    sender: str
    """The envelope sender in Return-Path; empty if there is none."""
    status: str
    """The value of our X-Spam-Status, unfolded; empty if this proxy did not deliver it."""
    rest: bytes
    """The message as our MTA sent it to the proxy."""


def read_top(message: bytes) -> StoredTop:
    """Divide a stored message.

    The first X-Spam-Status is ours: the proxy removes those of others, and writes above all that it
    got. Above it are the fields of the mail store.
    """
    end = _END.search(message, 0, MAX_TOP)
    found = _STATUS.search(message, 0, end.start() + 2 if end else MAX_TOP)
    sender = _RETURN_PATH.match(message)
    path = sender[1].decode("utf-8", "replace") if sender else ""
    if found is None:
        return StoredTop(path, "", message)
    value = found[0].partition(b":")[2]
    status = " ".join(value.decode("ascii", "replace").split())
    return StoredTop(path, status, message[found.end() :])


def make_lesson(message: bytes, limit: int) -> Lesson:
    """Return the lesson of a message, with its first `limit` octets.

    `message` is the message as it is stored, or at least its first `limit + MARGIN` octets.
    """
    filtered = HeaderFilter()
    passed = filtered.write(read_top(message).rest) + filtered.finish()
    parts, at = [], 0
    for hidden in filtered.hidden:
        parts.append(passed[at : hidden.start])
        at = hidden.end
    parts.append(passed[at:])
    octets = b"".join(parts)[:limit]
    return Lesson(octets, hashlib.sha256(octets).digest())
