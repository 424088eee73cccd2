"""Handshake of a daemon with itself, over its own socket, for probes over HTTP.

It takes the way of a client: a daemon that runs, but accepts or answers nothing, fails it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from gatepost.handshake import Handshake, HandshakeError
from gatepost.handshake_client import connect, converse
from gatepost.listen import Inet, SocketAddress

TIMEOUT = 5.0
"""Seconds for a handshake: less than a kubelet waits for the answer of a probe."""
FRESH = 0.5
"""Seconds for which a result also answers other requests: many requests cause few handshakes."""
MAX_WAITING = 64
"""Requests that wait for a result, each with its thread, also after its connection has ended.
Others get the last one."""


class OwnHandshake:
    """The handshake that `begin` starts with the daemon at `address`, one at a time."""

    def __init__(self, begin: Callable[[], Handshake], address: SocketAddress) -> None:
        self._begin = begin
        self._address = address
        self._one_at_a_time = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._result: tuple[bool, str] = (False, "not asked yet")
        self._until = 0.0
        self._connection: socket.socket | None = None

    def __call__(self) -> tuple[bool, str]:
        """Return whether the daemon answers, and one line with its answer or the problem.

        Takes at most a little more than `TIMEOUT` seconds. Never raises.
        """
        if not self._places.acquire(blocking=False):
            return self._result
        try:
            with self._one_at_a_time:
                if time.monotonic() >= self._until:
                    self._result = self._shake_hands()
                    self._until = time.monotonic() + FRESH
                return self._result
        finally:
            self._places.release()

    def leave(self) -> None:
        """Close the connection in a forked process: the exchange goes on in the parent."""
        if self._connection is not None:
            self._connection.close()

    def _shake_hands(self) -> tuple[bool, str]:
        end = time.monotonic() + TIMEOUT
        try:
            with connect(self._address, TIMEOUT) as connection:
                self._connection = connection
                return True, converse(self._begin(), connection, end).said
        except TimeoutError:
            return False, f"no answer within {TIMEOUT:g} s"
        except HandshakeError as error:
            return False, str(error)
        except OSError as error:
            return False, error.strerror or str(error)
        finally:
            self._connection = None


def reached_at(address: SocketAddress, listening: socket.socket) -> SocketAddress:
    """Return the address at which this host reaches the socket that listens at `address`.

    It has no name to resolve: a name server that is silent must not make a probe fail.
    """
    if not isinstance(address, Inet):
        return address
    host, port = listening.getsockname()[:2]
    if host == "::":
        only = False
        with contextlib.suppress(OSError):
            only = bool(listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
        host = "::1" if only else "127.0.0.1"
    elif host == "0.0.0.0":  # noqa: S104  # compared, not bound
        host = "127.0.0.1"
    return Inet(host, port)
