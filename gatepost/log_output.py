"""Where log lines go: a descriptor that others own, and that may block or be gone.

Mail never waits for a log, and never fails for want of one. Who reads standard error may have died,
hang, or have a full disk; what cannot be written within a moment is dropped and counted.

A pipe, terminal or socket is written to without blocking. The flag for that belongs to what all
processes share that have inherited the descriptor, and is not ours to set; so a pipe or terminal
is opened anew, and a socket is told with each write.
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
"""Seconds that a line waits for a full pipe to have room again. The lines after it do not wait
until one got through."""

LOST = Counter("gatepost_log_lines_lost_total", "Log lines that could not be written in time")


class Output:
    """Writes lines to `descriptor`; never raises, and never blocks for longer than `PATIENCE`."""

    def __init__(self, descriptor: int) -> None:
        self._send, self._descriptor = _open(descriptor)
        self._is_stuck = False
        self._is_cut = False
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()  # a thread that was not forked may have held it

    def write(self, text: str) -> None:
        """Write one or several lines, each with the line feed at its end."""
        with self._lock:
            data = text.encode("utf-8", "backslashreplace")
            left = self._write(memoryview(b"\n" + data if self._is_cut else data))
            self._is_cut = 0 < left < len(data)
        if left:
            LOST.inc(data.count(b"\n", len(data) - left))

    def flush(self) -> None:
        """Nothing waits: for those who write to files."""

    def _write(self, data: memoryview) -> int:
        """Return how many octets were not written."""
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
    """A way to write to what `descriptor` is, without blocking where that can be."""
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
        pass  # it is closed, or another user's: then as it is
    return lambda data: os.write(descriptor, data), descriptor
