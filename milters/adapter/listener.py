"""libmilter on a socket that is ours.

libmilter opens its listening socket itself, cannot say why that failed, knows IPv4 or IPv6 but not
both, and removes a unix socket that other workers still use. So it is given a placeholder to open,
and its descriptor is then made to be a socket that `gatepost.daemon` opened.

Every worker accepts from the same socket. It does not block: when one connection wakes several
workers, the late ones get EAGAIN, which libmilter takes for "wait again", and none hangs in
accept() where it would not see that it is to stop.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
from pathlib import Path

import milter

from gatepost.errors import StartError
from gatepost.listen import Address, Unix


class Placeholder:
    """The descriptor on which libmilter of this process will accept connections.

    Made once, before the fork and while the folder of a unix socket may be written to: `address` is
    what is going to be served, and only its family counts.
    """

    def __init__(self, address: Address, family: socket.AddressFamily) -> None:
        path: Path | None = None
        if isinstance(address, Unix):
            path = address.path.with_name(f".{secrets.token_hex(4)}")
            connection = f"unix:{path}"
        elif family == socket.AF_INET6:
            connection = "inet6:0"
        else:
            connection = "inet:0@127.0.0.1"
        before = _sockets()
        try:
            milter.setconn(connection)
            milter.register("gatepost")
            milter.opensocket(False)
        except milter.error as error:
            raise StartError(f"cannot listen on {address}: {error}") from None
        finally:
            if path is not None:
                path.unlink(missing_ok=True)
        (self._descriptor,) = _sockets() - before

    def become(self, listener: socket.socket) -> None:
        """Accept from `listener` from now on; it is of the family this was made for."""
        listener.setblocking(False)
        os.dup2(listener.fileno(), self._descriptor, inheritable=False)

    def accept_nothing(self) -> None:
        """Accept nothing any more: the descriptor becomes a socket that nobody can reach."""
        nowhere = socket.socket(socket.AF_UNIX)
        nowhere.bind(b"")  # unix(7), autobind: an abstract name that nobody knows
        nowhere.listen(1)
        nowhere.setblocking(False)
        os.dup2(nowhere.fileno(), self._descriptor, inheritable=False)
        nowhere.close()


def end_connections(name: object) -> None:
    """Let libmilter see the end of every connection to the listener of this socket name.

    What it still has to send is sent; then it reads the end, and calls the close callback.
    """
    for descriptor in _sockets():
        try:
            connection = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue  # libmilter closed it meanwhile
        with connection, contextlib.suppress(OSError):
            connection.getpeername()  # raises for what is not connected
            if _is_same_place(connection.getsockname(), name):
                connection.shutdown(socket.SHUT_RD)


def _is_same_place(ours: object, listening: object) -> bool:
    if isinstance(ours, tuple) and isinstance(listening, tuple):
        return bool(ours[1] == listening[1])  # the listener may be bound to every address
    return ours == listening


def _sockets() -> set[int]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is gone
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.add(int(name))
    return found
