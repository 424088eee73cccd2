"""Writes header fields: folded where it is allowed, and safe against injected line ends.

A field that this package writes has no line longer than `WIDTH`, unless a single item that must
not be broken is longer itself, and no control character that came from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgauth.errors import MsgauthError

WIDTH = 78
"""Characters a line has at the most, without its CRLF (RFC 5322 section 2.1.1)."""

MAX_LINE = 998
"""Octets a line may have at the most, without its CRLF (RFC 5322 section 2.1.1)."""

FOLD = "\r\n "
"""What stands between two lines of a field that is written here (RFC 5322 section 2.2.3)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FoldError(MsgauthError):
    """Something with a line end or another control character was to go into a header field."""


def require_printable(text: str) -> str:
    """Return `text`; raise `FoldError` if a line end or another control character is in it."""
    if _CONTROL.search(text):
        raise FoldError(f"a control character must not go into a header field: {text[:40]!r}")
    return text


def require_folded(text: str) -> str:
    """Return `text`, which may have folds; raise `FoldError` if it cannot stand in a field.

    A fold is a CRLF with white space and something visible behind it. No line may be longer than
    `MAX_LINE`.
    """
    for number, line in enumerate(text.split("\r\n")):
        require_printable(line.replace("\t", " "))
        if number and (not line.startswith((" ", "\t")) or not line.strip(" \t")):
            raise FoldError("a line end that is no fold must not go into a header field")
        if len(line.encode()) > MAX_LINE:
            raise FoldError(f"a line of a header field is longer than {MAX_LINE} octets")
    return text


def fold(items: Iterable[str], glue: str = " ", column: int = 1) -> str:
    """Join `items` with `glue`, or with a fold where the next item would go beyond `WIDTH`.

    `column` is where the first item begins on its line. A fold replaces `glue` without the spaces
    it ends with; an item is never broken. Raises `FoldError` for control characters in an item.
    """
    words = list(items)
    line = require_printable(glue.join(words))
    mark = glue.rstrip(" ")
    if column + len(line) + len(mark) <= WIDTH:
        return line
    parts: list[str] = []
    room, gap, end = WIDTH - len(glue) - len(mark), len(glue), mark + FOLD
    for word in words:
        if parts:
            if column + len(word) > room:
                parts.append(end)
                column = 1
            else:
                parts.append(glue)
                column += gap
        parts.append(word)
        column += len(word)
    return "".join(parts)


def fold_anywhere(text: str, column: int = 1) -> str:
    """Break `text`, in which folds mean nothing (as in base64), into lines of at most `WIDTH`.

    `column` is where it begins on its line.
    """
    first = WIDTH - column
    lines = [text[:first]]
    lines += [text[i : i + WIDTH - 1] for i in range(first, len(text), WIDTH - 1)]
    return FOLD.join(lines)
