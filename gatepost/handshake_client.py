"""Client side of a handshake: a socket to one of our servers, and the exchange on it."""

from __future__ import annotations

import socket
import time

from gatepost.handshake import Greeting, Handshake
from gatepost.listen import Inet, SocketAddress

CHUNK = 4096
"""Octets read at once."""


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


def shake_hands(talk: Handshake, address: SocketAddress, timeout: float) -> Greeting:
    """Connect and conduct the handshake within `timeout` seconds.

    Raises `HandshakeError` and `OSError`.
    """
    end = time.monotonic() + timeout
    with connect(address, timeout) as connection:
        return converse(talk, connection, end)


def converse(talk: Handshake, connection: socket.socket, end: float) -> Greeting:
    """Conduct the handshake on a connection until `end`, a time of `time.monotonic`.

    Raises `HandshakeError`, and `OSError` with `TimeoutError` after `end`.
    """
    received: bytes | None = None
    while True:
        try:
            send = next(talk) if received is None else talk.send(received)
        except StopIteration as done:
            greeting: Greeting = done.value
            connection.sendall(greeting.goodbye)
            return greeting
        left = end - time.monotonic()
        if left <= 0:  # also if it never stops sending
            raise TimeoutError
        connection.settimeout(left)
        if send:
            connection.sendall(send)
        received = connection.recv(CHUNK)
