"""The errors that an administrator reads, one line each."""

from __future__ import annotations


class StartError(Exception):
    """A daemon cannot start; the message is the one line that the administrator reads.

    The command prints it without a traceback and exits with 1.
    """
