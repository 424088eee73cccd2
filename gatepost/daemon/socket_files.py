"""The files of the unix sockets that a daemon listens on.

The file is all that leads to the socket: when somebody removes it, or another socket takes its
place, the daemon goes on listening where nobody can come.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gatepost.errors import StartError
from gatepost.folder import OpenFolder
from gatepost.listen import Address, Unix

_Identity = tuple[int, int]


class _File(NamedTuple):
    folder: OpenFolder
    identity: _Identity


class SocketFiles:
    """The files of those `addresses` that are unix sockets; made once they are bound.

    Raises `StartError` when one of them is gone already.
    """

    def __init__(self, addresses: Iterable[Address | None] = ()) -> None:
        self._files: dict[Path, _File] = {}
        for address in addresses:
            self.add(address)

    def add(self, address: Address | None) -> None:
        """Look after the file of one more that is bound; raises `StartError` as above."""
        if isinstance(address, Unix):
            self._files[address.path] = _open(address.path)

    def check(self) -> None:
        """Raise `StartError` for one that is gone or not ours any more."""
        for path, file in self._files.items():
            try:
                found = _identity(os.stat(path, follow_symlinks=False))
            except FileNotFoundError:
                found = None
            except OSError:
                continue  # a folder above may be closed to the user that the daemon runs as
            if found != file.identity:
                what = "was removed" if found is None else "was replaced"
                raise StartError(f"unix:{path} {what}: nobody can connect any more")

    def remove(self) -> None:
        """Remove those that are still ours, where that is allowed; once.

        From the folder that they were made in, whatever their paths lead to by now. The next
        daemon's socket may be there afterwards, and have the number that ours had.
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
