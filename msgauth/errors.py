"""The family of exceptions of this package."""

from __future__ import annotations


class MsgauthError(ValueError):
    """Input from outside violates its specification.

    Every parser of the package raises a subclass of it for bad input, and nothing else. The text
    is one clause for a log line or a reason, without line ends, and quotes no more than a
    shortened piece of the input.
    """
