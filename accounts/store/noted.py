"""Text from outside, as the datastore keeps it."""

from __future__ import annotations

from gatepost.printable import escape

MAX_NOTED = 400
"""Characters that an entry keeps of a text from outside: more than an address has."""


def clean(text: str) -> str:
    """Return a text from outside as both databases and a terminal can take it."""
    return escape(text[:MAX_NOTED])
