"""Shortages of our own: no descriptor, memory, buffer or port is left on this machine.

Such an error says nothing about the other side. Mail that could not be checked because of one is
deferred, and nothing about it is kept in a cache: the next message may find what this one lacked.
"""

from __future__ import annotations

import errno
from typing import Final

from gatepost.reply import Reply

REASON: Final = "out-of-resources"

DEFERRED: Final = Reply(451, "4.3.2", "this host is short of resources, please try again", REASON)
"""The reply to the client (RFC 3463 section 3.4: X.3.2, excessive load)."""

_ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EADDRNOTAVAIL}
)
"""EAGAIN and EADDRNOTAVAIL are what connect(2) says when all ephemeral ports are in use."""


class ShortageError(Exception):
    """Something could not be done for want of a resource of ours; the text says which."""


def is_shortage(error: BaseException) -> bool:
    """Return whether `error`, of a socket or a file, is about this machine and not about a peer.

    Only for operations that cannot wait: in others EAGAIN means "later".
    """
    if isinstance(error, MemoryError | ShortageError):
        return True
    return isinstance(error, OSError) and error.errno in _ERRNOS
