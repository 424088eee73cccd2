"""The files of the unix sockets that a daemon listens on.

Clients can only reach the socket through its file: if the file is removed or replaced, the daemon
keeps listening on a socket that nobody can reach.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gatepost.errors import StartError
from gatepost.folder import OpenFolder
from gatepost.listen import SocketAddress, Unix

_Identity = tuple[int, int]


class _File(NamedTuple):
    folder: OpenFolder
    identity: _Identity


class SocketFiles:
    """The files of the unix sockets among `addresses`; created after they are bound.

    Raises `StartError` if one of them is already gone.
    """

    def __init__(self, addresses: Iterable[SocketAddress | None] = ()) -> None:
        self._files: dict[Path, _File] = {}
        for address in addresses:
            self.add(address)

    def add(self, address: SocketAddress | None) -> None:
        """Add the file of another bound socket; raises `StartError` as above."""
        if isinstance(address, Unix):
            self._files[address.path] = _open(address.path)

    def check(self) -> None:
        """Raise `StartError` if one is gone or no longer ours."""
        for path, file in self._files.items():
            try:
                found = _identity(os.stat(path, follow_symlinks=False))
            except FileNotFoundError:
                found = None
            except OSError:
                continue  # the daemon's user may not be allowed to enter a parent folder
            if found != file.identity:
                what = "was removed" if found is None else "was replaced"
                raise StartError(f"unix:{path} {what}: nobody can connect any more")

    def remove(self) -> None:
        """Remove the files that are still ours, if allowed; only once.

        They are removed from the folder where they were created, whatever their paths lead to now.
        Afterwards, the next daemon's socket may be there, with the same inode number as ours.
        """
        files, self._files = self._files, {}
        for path, (folder, identity) in files.items():
            with folder, contextlib.suppress(OSError):
                status = folder.find(path.name)
                if status is not None and _identity(status) == identity:
                    folder.remove(path.name)


def _open(path: Path) -> _File:
    try:
        folder = OpenFolder.open(path.parent)
        status = folder.find(path.name)
    except OSError as error:
        raise StartError(f"unix:{path} cannot be found: {error.strerror}") from None
    if status is None:
        folder.close()
        raise StartError(f"unix:{path} was removed: nobody can connect")
    return _File(folder, _identity(status))


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino
