"""Work in a folder of another user, as that user.

A library that opens files by their names, as SQLite does, follows whatever the owner of the folder
puts there. Done as root that could be any file of the machine; done as the owner it is at most what
the owner could do anyway.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from gatepost.reach import reach


@contextlib.contextmanager
def as_owner_of(path: Path) -> Iterator[None]:
    """Be the user, with its groups, that the file `path` belongs to, or the folder it is to be in.

    Where both are root's, or the process is not root's, nothing changes. Of a folder that is not
    there, the nearest one above it counts. Raises `OSError` where none can be looked at.
    """
    uid, gid = _owner(path) if os.geteuid() == 0 else (0, 0)
    if uid == 0:
        yield
        return
    groups = os.getgroups()
    before = os.getegid()
    os.setgroups(_groups(uid, gid))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before)
        os.setgroups(groups)


def _owner(path: Path) -> tuple[int, int]:
    try:
        handle, folder = reach(path.parent)
    except FileNotFoundError:
        return _owner(path.parent)
    try:
        if folder.st_uid != 0:
            return folder.st_uid, folder.st_gid
        try:
            file = os.stat(path.name, dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            return 0, 0
        return file.st_uid, file.st_gid
    finally:
        os.close(handle)


def _groups(uid: int, gid: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]  # as in a container, which may have no name for the owner of a volume
