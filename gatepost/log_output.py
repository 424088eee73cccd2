"""Output of log lines to a descriptor that may block or be closed.

Mail never waits for the log, and never fails because of it. The reader of standard error may have
died, hang, or have a full disk; lines that cannot be written promptly are dropped and counted.

Writes to a pipe, terminal or socket do not block. All processes that inherited the descriptor share
its non-blocking flag, so it is not changed: a pipe or terminal is reopened, and a socket gets the
flag with each write.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
from collections.abc import Callable

from gatepost.metrics import Counter

PATIENCE = 0.1
"""Seconds that a line waits for room in a full pipe. Later lines do not wait until one was
written."""

LOST = Counter(
    "gatepost_log_lines_lost_total", "Log lines dropped because they could not be written in time"
)


class Output:
    """Writes lines to `descriptor`; never raises, and never blocks for longer than `PATIENCE`."""

    def __init__(self, descriptor: int) -> None:
        self._send, self._descriptor = _open(descriptor)
        self._is_stuck = False
        self._is_cut = False
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it at the fork

    def write(self, text: str) -> None:
        """Write one or more lines, each with its line feed."""
        with self._lock:
            data = text.encode("utf-8", "backslashreplace")
            left = self._write(memoryview(b"\n" + data if self._is_cut else data))
            self._is_cut = 0 < left < len(data)
        if left:
            LOST.inc(data.count(b"\n", len(data) - left))

    def flush(self) -> None:
        """Do nothing, because nothing is buffered; part of the file interface."""

    def _write(self, data: memoryview) -> int:
        """Return the number of octets that were not written."""
        while data:
            try:
                data = data[self._send(data) :]
                self._is_stuck = False
            except BlockingIOError:
                if self._is_stuck or not self._has_room():
                    self._is_stuck = True
                    break
            except OSError:
                break
        return len(data)

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(PATIENCE * 1000))


def _open(descriptor: int) -> tuple[Callable[[memoryview], int], int]:
    """Return a function that writes to `descriptor`, without blocking if possible."""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISSOCK(mode):
            connection = socket.socket(fileno=os.dup(descriptor))
            flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
            return lambda data: connection.send(data, flags), connection.fileno()
        if stat.S_ISFIFO(mode) or os.isatty(descriptor):
            how = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(f"/proc/self/fd/{descriptor}", how)
    except OSError:
        pass  # it is closed or belongs to another user: use it as it is
    return lambda data: os.write(descriptor, data), descriptor
