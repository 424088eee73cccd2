"""Text of others, made safe for a terminal and for one line.

What arrives by mail or from DNS may hold escape sequences, line ends of all kinds, and controls
that turn the direction of writing, so that a line reads as another one.
"""

from __future__ import annotations


def escape(text: str) -> str:
    """`text` on one line: what is not printable is written as in Python, ``\\x1b`` or ``\\u202e``.

    That is every control (C0, DEL, C1), the controls of direction and other invisible characters,
    line and paragraph separators, unusual spaces, surrogates, and what Unicode has not assigned.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def escape_lines(text: str) -> str:
    """As `escape`, with the line feeds kept: for text of several lines that are ours."""
    return "\n".join(map(escape, text.split("\n")))
