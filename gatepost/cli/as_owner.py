"""Work in a folder of another user, as that user.

A library that opens files by name, like SQLite, follows any link that the owner of the folder puts
there. As root, this could reach any file of the machine; as the owner, it can only do what the
owner could do anyway.
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
    """Become the owner, with its groups, of the file `path` or of the folder where it will be
    created.

    If both belong to root, or the process is not root, nothing changes. If the folder does not
    exist, its nearest existing parent counts. Raises `OSError` if none is accessible.
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
        return [gid]  # in a container, the owner of a volume may have no name
