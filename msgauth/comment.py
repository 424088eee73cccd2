"""Comments in header fields (RFC 5322 section 3.2.2)."""

from __future__ import annotations

import re

MAX_NESTING = 20
"""How deep comments may stand in comments."""

_INSIDE = re.compile(r"[()]|\\.", re.DOTALL)


def end_of_comment(text: str, start: int) -> int | None:
    """Where the comment whose "(" is at `start` ends, behind its ")".

    None when it has no end, or has comments in it deeper than `MAX_NESTING`.
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
