"""Comments in header fields (RFC 5322 section 3.2.2)."""

from __future__ import annotations

import re

MAX_NESTING = 20
"""Maximum depth of nested comments."""

_INSIDE = re.compile(r"[()]|\\.", re.DOTALL)


def end_of_comment(text: str, start: int) -> int | None:
    """Return the end of the comment whose "(" is at `start`, after its ")".

    None if it is not closed, or nested deeper than `MAX_NESTING`.
    """
    depth = 0
    for match in _INSIDE.finditer(text, start):
        if match[0] == "(":
            depth += 1
            if depth > MAX_NESTING:
                break
        elif match[0] == ")":
            depth -= 1
            if depth == 0:
                return match.end()
    return None
