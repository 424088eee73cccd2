"""Takes connections from a listening socket, which other processes may take from too.

Connections are taken one at a time. Nothing spins: whatever is against taking a connection now, no
room or no descriptor, the socket is looked at again a moment later, and what waits there is not
lost. (An asyncio server closes what waits, and after some errors takes nothing any more.)
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
"""Seconds until a process that can take no more looks again."""
WARN_EVERY: Final = 60.0
"""Seconds between two warnings about the same."""


def _no() -> bool:
    return False


def _yes() -> bool:
    return True


class RareWarnings:
    """Warnings that a flood could repeat endlessly: each is logged once in `WARN_EVERY` seconds."""

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def warn(self, event: str, **facts: object) -> None:
        """Log the event, unless it was logged a short while ago."""
        now = self._clock()
        if now - self._logged_at.get(event, -WARN_EVERY) >= WARN_EVERY:
            self._logged_at[event] = now
            self._log.warning(event, **facts)


class Acceptor:
    """Calls `take` with each connection, until `close()`.

    `has_room` is asked before each: while it says no, connections wait in the kernel. `hold_off`
    says whether another process should have the next one; it is asked once for each.
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
        """Take no more."""
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._loop.remove_reader(self._listener)
        self._listener.close()

    def _acceptable(self) -> None:
        if not self._has_room():
            self._warnings.warn("no more connections are taken for now")
            self._hold(FULL_HOLD)
            return
        # once is enough: those who should have it may be too busy to come
        if self._loop.time() > self._held_until and self._hold_off():
            self._hold(HOLD)
            self._held_until = self._loop.time() + 2 * HOLD
            return
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process has it, or it has gone
        except OSError as error:
            self._warnings.warn("no connection can be taken", error=str(error))
            self._hold(FULL_HOLD)
            return
        self._held_until = 0.0
        try:
            self._take(connection)
        except Exception:  # a mistake of ours costs this connection alone
            self._log.exception("a connection could not be followed")
            connection.close()

    def _hold(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._acceptable)
