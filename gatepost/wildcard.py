"""Patterns in which ``*`` stands for any characters, or none."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Return whether `pattern` matches `text`, in time proportional to their lengths.

    It has no other wildcards and no escapes, and differs between upper and lower case.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if len(text) < len(first) + len(last):
        return False
    if not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in rest:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
