"""Signals during the start of a daemon, before its runner handles them.

Without this, a SIGHUP would kill a daemon that is still reading its keys, and a SIGTERM would leave
its socket files behind.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_ALL = {signal.SIGHUP, signal.SIGTERM}


def hold_signals() -> None:
    """Hold SIGHUP until `release_signals()`, and make SIGTERM end the start with status 0.

    Call it in the main thread, before other threads are started.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.signal(signal.SIGTERM, _end)


def release_signals() -> None:
    """Deliver the held signals; call it after the runner has set its own handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold SIGTERM during a step that must not be interrupted."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)
