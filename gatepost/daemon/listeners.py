"""The listening sockets of a daemon, by the keys of the configuration."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Self

from gatepost.daemon.socket_files import SocketFiles
from gatepost.daemon.sockets import listening_socket
from gatepost.errors import StartError
from gatepost.listen import SocketAddress, Unix


class Listeners:
    """Open sockets by key, such as `listen`, and the files of the unix sockets."""

    def __init__(self) -> None:
        self._sockets: dict[str, list[socket.socket]] = {}
        self._files = SocketFiles()

    @classmethod
    def open(
        cls,
        served: Mapping[str, Sequence[SocketAddress]],
        mode: int = 0o660,
        group: str | None = None,
    ) -> Self:
        """Open all sockets, or none if one cannot be opened; raises `StartError`.

        `mode` and `group` are for unix sockets.
        """
        listeners = cls()
        try:
            for key, addresses in served.items():
                several = listeners._sockets[key] = []
                for address in addresses:
                    several.append(_open(address, mode, group))
                    listeners._files.add(address)
        except StartError:
            listeners.close()
            raise
        return listeners

    def __getitem__(self, key: str) -> Sequence[socket.socket]:
        """Return the sockets of one key, possibly none."""
        return self._sockets[key]

    def check(self) -> None:
        """Raise `StartError` if the file of a unix socket is gone or replaced."""
        self._files.check()

    def remove_files(self) -> None:
        """Remove the files of unix sockets that are still ours, so that the next daemon can use the
        paths."""
        self._files.remove()

    def close(self) -> None:
        """Close the sockets in this process and remove the files."""
        for several in self._sockets.values():
            for listening in several:
                listening.close()
        self.remove_files()


def _open(address: SocketAddress, mode: int, group: str | None) -> socket.socket:
    listening = listening_socket(address, mode, group)
    if not isinstance(address, Unix):
        # accepted connections inherit it: an answer would otherwise wait for the acknowledgement of
        # the previous one
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
