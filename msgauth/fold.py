"""Writer of header fields: folded where allowed, and safe against injected line ends.

Fields written by this package have no line longer than `WIDTH`, unless a single unbreakable item is
longer, and no control characters from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgauth.errors import MsgauthError

WIDTH = 78
"""Maximum characters of a line, without its CRLF (RFC 5322 section 2.1.1)."""

MAX_LINE = 998
"""Maximum octets allowed in a line, without its CRLF (RFC 5322 section 2.1.1)."""

FOLD = "\r\n "
"""The separator of two lines of a written field (RFC 5322 section 2.2.3)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FoldError(MsgauthError):
    """A text with a line end or another control character cannot be put into a header field."""


def require_printable(text: str) -> str:
    """Return `text`; raise `FoldError` if it has a line end or another control character."""
    if _CONTROL.search(text):
        raise FoldError(f"a control character must not go into a header field: {text[:40]!r}")
    return text


def require_folded(text: str) -> str:
    """Return `text`, which may have folds; raise `FoldError` if it is not allowed in a field.

    A fold is a CRLF followed by white space and a visible character. No line may be longer than
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
    """Break `text`, in which folds are ignored (as in base64), into lines of at most `WIDTH`.

    `column` is its start on the first line.
    """
    first = WIDTH - column
    lines = [text[:first]]
    lines += [text[i : i + WIDTH - 1] for i in range(first, len(text), WIDTH - 1)]
    return FOLD.join(lines)
