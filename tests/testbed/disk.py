"""A disk that is small enough to be full, or that is read-only: a mount that one program sees.

It is mounted in a mount namespace of the program's own, made by unshare(1) of util-linux; who is
not root makes a user namespace for it.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'

FILLER = "filler"
"""The file that takes the room of a full disk."""


@functools.cache
def why_not() -> str:
    """Why there can be no such disk here; empty where there can.

    A container mostly may not mount anything, not even as root.
    """
    with tempfile.TemporaryDirectory() as name:
        command = [*small_disk(Path(name), 4096), "true"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stderr.strip() or f"{command[0]} ended with {done.returncode}"


def small_disk(folder: Path, size: int) -> list[str]:
    """The command line to put before a program's, so that `folder` is a disk of `size` octets."""
    return ["unshare", *_namespace(), "--", "sh", "-c", _MOUNT, str(size), str(folder)]


def seen_by(pid: int, folder: Path) -> Path:
    """Return the path under which we see what `pid` has at `folder`."""
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


_BIND = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def read_only_disk(folder: Path) -> list[str]:
    """Return the command line to put before a program's, so that it can only look at `folder`."""
    return ["unshare", *_namespace(), "--", "sh", "-c", _BIND, str(folder)]


def remount(pid: int, folder: Path, *, writable: bool) -> None:
    """Let `pid`, which one of the above has started, write to `folder` again, or no more.

    What a program has open for writing keeps a file system writable, as mount(8) says: a copy takes
    the place of `folder`, as a volume does that is taken away and comes back read-only.
    """
    if writable:
        script = 'mount -o remount,bind,rw "$0"'
    else:
        script = 'cp -a "$0" "$0.ro" && mount --bind "$0.ro" "$0" && mount -o remount,bind,ro "$0"'
    users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", f"--target={pid}", "--mount", *users, "--"]
    subprocess.run([*enter, "sh", "-c", script, str(folder)], check=True)


def _namespace() -> list[str]:
    return ["--mount"] if os.geteuid() == 0 else ["--map-root-user", "--mount"]
