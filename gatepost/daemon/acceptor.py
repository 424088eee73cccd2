"""Acceptor of connections from a listening socket, which other processes may share.

Connections are accepted one at a time, without a busy loop: if one cannot be accepted now, for lack
of room or descriptors, the socket is checked again a moment later, and waiting connections are not
lost. (An asyncio server closes them, and after some errors accepts no more.)
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

HOLD: Final = 0.001
"""Seconds that a process leaves a connection to others."""
FULL_HOLD: Final = 0.1
"""Seconds until a process without room checks again."""
WARN_EVERY: Final = 60.0
"""Seconds between two warnings about the same event."""


def _no() -> bool:
    return False


def _yes() -> bool:
    return True


class RareWarnings:
    """Warnings that a flood could repeat endlessly: each is logged at most once in `WARN_EVERY`
    seconds."""

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def warn(self, event: str, **facts: object) -> None:
        """Log the event, unless it was logged recently."""
        now = self._clock()
        if now - self._logged_at.get(event, -WARN_EVERY) >= WARN_EVERY:
            self._logged_at[event] = now
            self._log.warning(event, **facts)


class Acceptor:
    """Calls `take` with each connection, until `close()`.

    `has_room` is called before each: while it returns False, connections wait in the kernel.
    `hold_off` returns whether another process should get the next one; it is called once for each.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket], None],
        *,
        log: FilteringBoundLogger,
        has_room: Callable[[], bool] = _yes,
        hold_off: Callable[[], bool] = _no,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._take = take
        self._has_room = has_room
        self._hold_off = hold_off
        self._log = log
        self._held_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._warnings = RareWarnings(log, self._loop.time)
        listener.setblocking(False)
        self._loop.add_reader(listener, self._acceptable)

    def close(self) -> None:
        """Stop accepting."""
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._loop.remove_reader(self._listener)
        self._listener.close()

    def _acceptable(self) -> None:
        if not self._has_room():
            self._warnings.warn("no more connections are accepted for now")
            self._hold(FULL_HOLD)
            return
        # once is enough: the processes that should get it may be too busy
        if self._loop.time() > self._held_until and self._hold_off():
            self._hold(HOLD)
            self._held_until = self._loop.time() + 2 * HOLD
            return
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process got it, or it was closed
        except OSError as error:
            self._warnings.warn("a connection cannot be accepted", error=str(error))
            self._hold(FULL_HOLD)
            return
        self._held_until = 0.0
        try:
            self._take(connection)
        except Exception:  # a bug affects only this connection
            self._log.exception("a connection could not be served")
            connection.close()

    def _hold(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._acceptable)
