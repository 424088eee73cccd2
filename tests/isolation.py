"""Tests reach nothing outside: no real resolver, no mail server, no proxy.

As root the test process moves into a network namespace of its own, in which there is only a
loopback interface; what it starts lives there too. Where that is not allowed an audit hook looks at
what the test process itself does. In the unit layer that hook refuses every address.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
from typing import Any

_CLONE_NEWNET = 0x40000000  # sched.h; os.unshare is of Python 3.12
_SIOCSIFFLAGS = 0x8914  # linux/sockios.h
_IFF_UP = 1


class NetworkUsed(Exception):  # noqa: N818 (it says what happened)
    """A test reached for an address it must not use."""


def enter_network_namespace() -> bool:
    """Move this process into an empty network with loopback up; False where that is not allowed.

    To be called while there is one thread: threads that run already would stay outside.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # struct ifreq: the name in 16 octets, then the flags
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    return True


class Watch:
    """The audit hook: refuses what is not allowed, and remembers it if the error is swallowed."""

    def __init__(self) -> None:
        self.no_sockets = False
        self.own_networks: list[ipaddress.IPv4Network] = []
        """Networks of this process's own namespace, besides loopback: containers of a test."""
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See sys.addaudithook and the audit events of the modules socket and _socket."""
        if not event.startswith("socket."):
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            local = arguments[0].family == socket.AF_UNIX or self._is_own(arguments[1])
            address = arguments[1]
        elif event == "socket.bind":
            local, address = True, arguments[1]  # nothing leaves by it
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            address = arguments[0]
            local = _is_local(address) or _is_address(address)  # no resolver is asked for those
        else:
            return
        if self.no_sockets or not local:
            self.seen.append(f"{event} {address!r}")
            raise NetworkUsed(self.seen[-1])

    def _is_own(self, address: Any) -> bool:
        if _is_local(address):
            return True
        text = address[0] if isinstance(address, tuple) else address
        try:
            parsed = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(parsed in network for network in self.own_networks)

    def take(self) -> list[str]:
        """What was seen since the last call."""
        seen, self.seen = self.seen, []
        return seen


def _is_address(text: Any) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_local(address: Any) -> bool:
    if isinstance(address, tuple):
        address = address[0]
    if address in (None, "", b"", "localhost"):
        return True
    text = address.decode() if isinstance(address, bytes) else str(address)
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False  # a name would be asked of a resolver
    return parsed.is_loopback or parsed.is_unspecified
