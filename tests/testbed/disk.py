"""Small or read-only disk for one program, to test full disks.

unshare(1) of util-linux creates a mount namespace for the program, and a user namespace if the
caller is not root.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'

FILLER = "filler"
"""The file that fills the disk."""


@functools.cache
def why_not() -> str:
    """Return why such a disk is impossible here; empty if it is possible.

    Most containers may not mount anything, not even as root.
    """
    with tempfile.TemporaryDirectory() as name:
        command = [*small_disk(Path(name), 4096), "true"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stderr.strip() or f"{command[0]} ended with {done.returncode}"


def small_disk(folder: Path, size: int) -> list[str]:
    """Return a command-line prefix for a program that sees `folder` as a disk of `size` octets."""
    return ["unshare", *_namespace(), "--", "sh", "-c", _MOUNT, str(size), str(folder)]


@contextlib.contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """Make `folder` a disk of `size` octets for all programs, such as a volume of containers; group
    0 may write. Needs root."""
    folder.mkdir()
    options = f"size={size},mode=2770"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def seen_by(pid: int, folder: Path) -> Path:
    """Return our path to the folder that process `pid` sees as `folder`."""
    return Path(f"/proc/{pid}/root") / folder.relative_to("/")


def fill(folder: Path) -> None:
    """Fill the disk to the last octet."""
    with (folder / FILLER).open("ab", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while filler.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def make_room(folder: Path) -> None:
    """Free the space that `fill` used."""
    (folder / FILLER).unlink()


_BIND = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def read_only_disk(folder: Path) -> list[str]:
    """Return a command-line prefix for a program that sees `folder` as read-only."""
    return ["unshare", *_namespace(), "--", "sh", "-c", _BIND, str(folder)]


def remount(pid: int, folder: Path, *, writable: bool) -> None:
    """Make `folder` writable or read-only for `pid`, a process started with a prefix from here.

    A file system with a file open for writing cannot become read-only (mount(8)), so a copy
    replaces `folder`, like a volume that is detached and comes back read-only.
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
