"""Signals that come while a daemon starts, before its runner handles them.

Without this a SIGHUP would kill a daemon that still reads its keys, and a SIGTERM would leave the
files of its sockets behind.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_ALL = {signal.SIGHUP, signal.SIGTERM}


def hold_signals() -> None:
    """Let SIGHUP wait for `release_signals()`, and SIGTERM end the start with status 0.

    To be called in the main thread, which all other threads are started from.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.signal(signal.SIGTERM, _end)


def release_signals() -> None:
    """Deliver what has waited; to be called once a runner has its own handlers in place."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let SIGTERM wait for the end of a step that must not be done by halves."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)
