"""The files of the unix sockets that a daemon listens on.

The file is all that leads to the socket: when somebody removes it, or another socket takes its
place, the daemon goes on listening where nobody can come.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from gatepost.errors import StartError
from gatepost.listen import Address, Unix


class SocketFiles:
    """The files of those `addresses` that are unix sockets; made once they are bound."""

    def __init__(self, addresses: Iterable[Address | None]) -> None:
        self._files = {
            address.path: _identity(address.path)
            for address in addresses
            if isinstance(address, Unix)
        }

    def check(self) -> None:
        """Raise `StartError` for one that is gone or not ours any more."""
        for path, identity in self._files.items():
            try:
                found = _identity(path)
            except FileNotFoundError:
                found = None
            except OSError:
                continue  # a folder above may be closed to the user that the daemon runs as
            if found != identity:
                what = "was removed" if found is None else "was replaced"
                raise StartError(f"unix:{path} {what}: nobody can connect any more")

    def remove(self) -> None:
        """Remove those that are still ours, where that is allowed."""
        for path, identity in self._files.items():
            with contextlib.suppress(OSError):
                if _identity(path) == identity:
                    path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path, follow_symlinks=False)
    return found.st_dev, found.st_ino
