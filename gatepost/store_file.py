"""The file of a store: SQLite's, with those that SQLite keeps beside it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from gatepost.errors import StartError
from gatepost.folder import OpenFolder

_SIDE_FILES = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside the database."""


def check_store_file(path: Path) -> None:
    """Raise `StartError` for what cannot be a store, `OSError` where there is no folder.

    Called before SQLite opens the file, or makes it: a FIFO would never be read to its end, and in
    the folder of another user a link could lead root anywhere.
    """
    with OpenFolder.open(path.parent) as folder:
        _check(folder, path)


def make_store_file(path: Path, mode: int) -> None:
    """Make the file where there is none; raises as `check_store_file`.

    SQLite gives its WAL the mode and the owner of the file. A file created by root gets the owner
    of its folder, so that the daemon can write to it.
    """
    with OpenFolder.open(path.parent) as folder:
        _check(folder, path)
        status = folder.status()
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else (-1, -1)
        with suppress(FileExistsError):
            folder.add_file(path.name, mode, *owner)


def is_writable(path: Path) -> bool:
    """Return whether the file is writable.

    The file is not opened for this: closing it again would release the locks that SQLite has on it.
    """
    return os.access(path, os.W_OK)


def _check(folder: OpenFolder, path: Path) -> None:
    if os.geteuid() == 0:
        _insist_on_files(folder, path)
    _insist_on_no_fifo(path)


def _insist_on_files(folder: OpenFolder, path: Path) -> None:
    """Raise `StartError` for a link or special file that could lead root out of another user's
    folder."""
    if folder.status().st_uid == 0:
        return
    for name in (path.name, *(f"{path.name}{suffix}" for suffix in _SIDE_FILES)):
        status = folder.find(name)
        if status is not None and (not stat.S_ISREG(status.st_mode) or status.st_nlink > 1):
            raise StartError(
                f"the store {path.with_name(name)} is a link or not a regular file, in a folder "
                f"of uid {folder.status().st_uid}: root does not follow it"
            )


def _insist_on_no_fifo(path: Path) -> None:
    """Raise `StartError` if it exists and is not a regular file: reading a FIFO would block
    forever."""
    for name in (path.name, *(f"{path.name}{suffix}" for suffix in _SIDE_FILES)):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.with_name(name).stat().st_mode):
                raise StartError(f"the store {path.with_name(name)} is not a regular file")
