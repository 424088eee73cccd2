"""The listening sockets of daemons.

A unix socket left behind by a dead process is replaced; one in use is not. Every failure is a
`StartError` of one line.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

from gatepost.daemon.unix_socket import BACKLOG, bind_unix, remove_stale_socket
from gatepost.errors import StartError
from gatepost.folder import OpenFolder
from gatepost.listen import Inet, SocketAddress, Unix


def _explain(address: SocketAddress, error: OSError) -> StartError:
    """Return the error for a failed bind."""
    if error.errno == errno.EADDRINUSE:
        return StartError(f"cannot listen on {address}: another process uses this port")
    if error.errno == errno.EACCES and isinstance(address, Inet):
        return StartError(f"cannot listen on {address}: ports below 1024 need root")
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"cannot listen on {address}: this machine does not have that address")
    return StartError(f"cannot listen on {address}: {error.strerror or error}")


def listening_socket(
    address: SocketAddress, mode: int = 0o660, group: str | None = None
) -> socket.socket:
    """Open a listening socket; raises `StartError`. `mode` and `group` are for a unix socket."""
    try:
        if isinstance(address, Unix):
            return _listen_unix(address.path, mode, group)
        return _listen_inet(address)
    except OSError as error:
        raise _explain(address, error) from None


def _listen_unix(path: Path, mode: int, group: str | None) -> socket.socket:
    with OpenFolder.open(path.parent) as folder:
        remove_stale_socket(folder, path)
        listener = socket.socket(socket.AF_UNIX)
        try:
            bind_unix(listener, folder, path, mode, group)
        except BaseException:
            listener.close()
            raise
        return listener


def _listen_inet(address: Inet) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise StartError(f"cannot listen on {address}: {error.strerror}") from None
    # "every address" is one socket for both families if the machine has IPv6
    families = [entry for entry in found if entry[0] == socket.AF_INET6] if not address.host else []
    for family, kind, protocol, _, where in [*families, *found]:
        try:
            return _bound(socket.socket(family, kind, protocol), where, is_both=not address.host)
        except OSError as error:
            if address.host or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    raise StartError(f"cannot listen on {address}: the machine has no such address family")


def _bound(listener: socket.socket, where: Any, *, is_both: bool) -> socket.socket:
    """Return `listener` listening at `where`; `is_both`: an IPv6 socket also accepts IPv4."""
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not is_both))
        listener.bind(where)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
