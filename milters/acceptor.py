"""Takes connections from one listening socket that other workers take from too.

Connections are taken one at a time. A worker that has `SLACK` more than another holds off for a
moment, in which the other, unless it is busy, takes what waits. Nothing spins: whatever is against
taking a connection now, the socket is looked at again later.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from milters.balance import Balance

SLACK: Final = 2
"""Connections that a worker may have more than another before it holds off: sessions that last for
one message come and go, and holding off each time costs more than it balances."""
HOLD: Final = 0.001
"""Seconds that a worker leaves a connection to those that have fewer."""
FULL_HOLD: Final = 0.1
"""Seconds until a worker that can take no more looks again."""
COMPLAIN_EVERY: Final = 60.0
"""Seconds between two warnings about the same."""


class Acceptor:
    """Calls `take` with each connection, until `close()`.

    `limit` is how many connections this worker may have, `count` how many it has.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[socket.socket], None],
        *,
        count: Callable[[], int],
        limit: Callable[[], int],
        balance: Balance,
        worker: int,
        log: FilteringBoundLogger,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._take = take
        self._count = count
        self._limit = limit
        self._balance = balance
        self._worker = worker
        self._log = log
        self._held_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._complained = -COMPLAIN_EVERY
        self._loop.add_reader(listener, self._acceptable)

    def close(self) -> None:
        """Take no more."""
        if self._timer is not None:
            self._timer.cancel()
        else:
            self._loop.remove_reader(self._listener)
        self._listener.close()

    def _acceptable(self) -> None:
        if self._count() >= self._limit():
            self._complain("no more connections are taken for now", connections=self._count())
            self._hold(FULL_HOLD)
            return
        # once is enough: those who have fewer may be too busy to come
        if self._loop.time() > self._held_until and self._balance.excess(self._worker) >= SLACK:
            self._hold(HOLD)
            self._held_until = self._loop.time() + 2 * HOLD
            return
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker has it, or it has gone
        except OSError as error:
            self._complain("no connection can be taken", error=str(error))
            self._hold(FULL_HOLD)
            return
        self._held_until = 0.0
        self._take(connection)

    def _hold(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._acceptable)

    def _complain(self, what: str, **facts: object) -> None:
        now = self._loop.time()
        if now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            self._log.warning(what, **facts)
