"""A disk that is small enough to be full: a file system in memory that one program sees.

It is mounted in a mount namespace of the program's own, made by unshare(1) of util-linux; who is
not root makes a user namespace for it.
"""

from __future__ import annotations

import os
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'

FILLER = "filler"
"""The file that takes the room of a full disk."""


def small_disk(folder: Path, size: int) -> list[str]:
    """The command line to put before a program's, so that `folder` is a disk of `size` octets."""
    namespace = ["--mount"] if os.geteuid() == 0 else ["--map-root-user", "--mount"]
    return ["unshare", *namespace, "--", "sh", "-c", _MOUNT, str(size), str(folder)]


def seen_by(pid: int, folder: Path) -> Path:
    """The path under which we see what `pid` has at `folder`."""
    return Path(f"/proc/{pid}/root") / folder.relative_to("/")


def fill(folder: Path) -> None:
    """Take all the room that is left, to the last octet."""
    with (folder / FILLER).open("ab", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while filler.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def make_room(folder: Path) -> None:
    """Give back what `fill` took."""
    (folder / FILLER).unlink()
