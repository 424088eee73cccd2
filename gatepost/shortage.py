"""Local shortages: no descriptor, memory, buffer or port is left on this machine.

Such an error says nothing about the peer. Mail that could not be checked because of one is
deferred, and the failure is not cached: the resource may be available for the next message.
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
"""connect(2) fails with EAGAIN or EADDRNOTAVAIL when all ephemeral ports are in use."""


class ShortageError(Exception):
    """An operation failed because of a local shortage; the text names the resource."""


def is_shortage(error: BaseException) -> bool:
    """Return whether an `error` of a socket or file is about this machine, not about a peer.

    Only valid for operations that cannot wait: for others EAGAIN means "later".
    """
    if isinstance(error, MemoryError | ShortageError):
        return True
    return isinstance(error, OSError) and error.errno in _ERRNOS
