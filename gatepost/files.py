"""Opener of files named by the administrator, which never blocks a daemon."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from gatepost.reach import reach

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read its octets; symbolic links are followed, with restrictions for
    root.

    Raises `OSError`, also if it is not a regular file: reading a FIFO would block forever, or
    return nothing, unlike an empty file. Root does not even open a device, because opening some has
    effects. See `gatepost.reach` for the links that root refuses.
    """
    if os.geteuid() != 0:
        return read_from(os.open(path, _READ), str(path))
    handle, status = reach(path)
    try:
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(str(path))
        return read_from(os.open(f"/proc/self/fd/{handle}", _READ), str(path))
    finally:
        os.close(handle)


def open_entry(folder: int, name: str) -> BinaryIO:
    """Open the regular file `name` in the folder with the descriptor `folder`, to read it.

    Raises `OSError`, also for a symbolic link and anything else that is not a regular file.
    """
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise _no_file(name)
    return read_from(os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder), name)


def read_from(descriptor: int, name: str) -> BinaryIO:
    """Open a descriptor for reading and take ownership of it; raises `OSError` unless it is a
    regular file."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise _no_file(name)


def _no_file(name: str) -> OSError:
    return OSError(errno.EINVAL, "is not a regular file", name)
