"""Free ports, and tests whether a server listens on a port."""

from __future__ import annotations

import errno
import socket
from collections import deque

LOOPBACK = "127.0.0.1"

_ATTEMPTS = 50
"""Maximum number of ports to try until one is free for both UDP and TCP."""


_recent: deque[int] = deque(maxlen=1000)
"""The ports given last, which are not given again soon: their user may not have bound them yet."""


def free_port() -> int:
    """Return a free TCP port of the loopback address, and another one each time.

    Another process may take it before its user does. If a program can bind port 0 itself, prefer
    that.
    """
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports, all free at the same time."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            held.append(socket.create_server((LOOPBACK, 0)))
            port = int(held[-1].getsockname()[1])
            if port not in _recent:
                ports.append(port)
    finally:
        for one in held:
            one.close()
    _recent.extend(ports)
    return ports


def listens(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a TCP connection to the port is accepted."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def bind_udp_and_tcp(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket on the same port; `port` 0 finds a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in range(_ATTEMPTS):
        tcp = socket.create_server((host, port), family=family, backlog=64)
        udp = socket.socket(tcp.family, socket.SOCK_DGRAM)
        try:
            udp.bind((host, tcp.getsockname()[1]))
        except OSError as error:
            udp.close()
            tcp.close()
            if port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                raise
        else:
            return udp, tcp
    raise AssertionError("the loop returns or raises")
