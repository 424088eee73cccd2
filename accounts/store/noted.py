"""Text from outside, in the form that the datastore keeps."""

from __future__ import annotations

from gatepost.printable import escape

MAX_NOTED = 400
"""Characters of a text from outside that an entry keeps; an address is shorter."""


def clean(text: str) -> str:
    """Return a text from outside in a form that is safe for both databases and a terminal."""
    return escape(text[:MAX_NOTED])
