"""Files that an administrator names: opened so that nothing there can make a daemon wait."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from gatepost.reach import reach

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read its octets; symbolic links are followed, by root with care.

    Raises `OSError`, also for what is no regular file: reading a FIFO would block for ever, or
    give nothing at all, which is not the same as an empty file. Root does not even open a device:
    some do things when they are opened. See `gatepost.reach` for the links that root refuses.
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

    Raises `OSError`, also for a symbolic link and for all else that is no regular file.
    """
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise _no_file(name)
    return read_from(os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder), name)


def read_from(descriptor: int, name: str) -> BinaryIO:
    """Open a descriptor, which is taken over, to read; raises `OSError` for no regular file."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise _no_file(name)


def _no_file(name: str) -> OSError:
    return OSError(errno.EINVAL, "is no regular file", name)
