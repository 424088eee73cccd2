"""Why something could not be put in place."""

from __future__ import annotations


class InstallError(Exception):
    """The installer stops; the message is what the user reads."""
