"""Escaping of outside text for a terminal and for one line.

Data from mail or DNS may contain escape sequences, line ends of all kinds, and characters that
reverse the writing direction, so that a line looks different.
"""

from __future__ import annotations


def escape(text: str) -> str:
    """Return `text` on one line, with unprintable characters escaped as in Python, ``\\x1b`` or
    ``\\u202e``.

    These are all controls (C0, DEL, C1), direction controls and other invisible characters, line
    and paragraph separators, unusual spaces, surrogates, and unassigned characters.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def escape_lines(text: str) -> str:
    """Escape each line but keep the line feeds, for our own text of several lines."""
    return "\n".join(map(escape, text.split("\n")))
