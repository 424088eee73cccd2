"""Safe path resolution for root: step by step, by descriptor.

The owner of a folder may change its entries at any moment, even between two of our calls. Root
therefore takes each step from the descriptor of the previous one, and examines an object before
opening it. Root only follows a symbolic link that another user could have made to objects of that
user: then root does nothing for them that they could not do themselves.

Users other than root follow every link: the kernel limits them to their own permissions.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from pathlib import Path
from typing import NamedTuple

MAX_LINKS = 40
"""Maximum symbolic links followed in one path, as in the kernel."""

_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Reached(NamedTuple):
    """The object at the end of a path: a handle that cannot read or write, and its status."""

    handle: int
    status: os.stat_result


def reach(path: Path) -> Reached:
    """Resolve `path`; the caller closes the handle.

    Raises `OSError`, with `errno.ELOOP` for a link that root refuses to follow.
    """
    is_root = os.geteuid() == 0
    owners: set[int] = set()
    links = 0
    steps = deque(path.parts)
    at = os.open(steps.popleft() if path.is_absolute() else ".", _HANDLE | os.O_DIRECTORY)
    try:
        while steps:
            step = steps.popleft()
            if not step or step == ".":
                continue
            following = os.open(step, _HANDLE, dir_fd=at)
            try:
                status = os.fstat(following)
                if stat.S_ISLNK(status.st_mode):
                    if (links := links + 1) > MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                    if is_root:
                        owners |= _strangers(os.fstat(at), status)
                    target = os.readlink("", dir_fd=following)
                    steps.extendleft(reversed(target.split("/")))
                    if not target.startswith("/"):
                        continue
                    root = os.open("/", _HANDLE | os.O_DIRECTORY)
                    os.close(following)
                    following = root
                at, following = following, at
            finally:
                os.close(following)
        status = os.fstat(at)
        if owners - {status.st_uid}:
            raise OSError(errno.ELOOP, _refusal(owners), str(path))  # noqa: TRY301
    except OSError as error:
        os.close(at)
        error.filename = str(path)  # for every step
        raise
    return Reached(at, status)


def _strangers(folder: os.stat_result, link: os.stat_result) -> set[int]:
    """Return the users other than root who could have made this link; empty if only root could."""
    return {folder.st_uid or link.st_uid} - {0}


def _refusal(owners: set[int]) -> str:
    of = " and ".join(f"uid {owner}" for owner in sorted(owners))
    return (
        f"root does not follow a symbolic link of {of} to a file of somebody else: use the path "
        "that it leads to"
    )
