"""A connection of a command to one of our servers."""

from __future__ import annotations

import socket

from gatepost.listen import Inet, SocketAddress


def connect(address: SocketAddress, timeout: float) -> socket.socket:
    """Connect within `timeout` seconds, which then limit each wait on the socket too.

    An address that stands for every address of this machine is reached on 127.0.0.1. Raises
    `OSError`.
    """
    if isinstance(address, Inet):
        return socket.create_connection((address.host or "127.0.0.1", address.port), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(str(address.path))
    except BaseException:
        connection.close()
        raise
    return connection
