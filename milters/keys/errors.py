"""The one family of exceptions of this package."""

from __future__ import annotations


class KeysError(ValueError):
    """Something about keys cannot be used or done; the text is one line that says what to do."""
