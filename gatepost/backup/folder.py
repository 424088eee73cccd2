"""Folder of backups: the last one, the one before, and the next one while it is written.

`current` is the last complete backup and `previous` the one before. A backup is written to `next`,
which becomes `current` by renaming, so a killed one changes neither. Unchanged messages are the
same files (hard links) in all three.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from gatepost.backup import manifest
from gatepost.errors import StartError

MARK = "gatepost-backup"
"""The file that tells a folder of backups from any other."""
_MARK_TEXT = "This folder belongs to `gatepost backup`; docs/backup.md describes it.\n"
LOCK = "lock"
CURRENT, PREVIOUS, NEXT, SCRATCH = "current", "previous", "next", "scratch"
OWNER_ONLY = 0o700
PASSABLE = 0o711
"""Mode of folders through which root lets Dovecot reach its part."""


class BackupFolder:
    """The folder at `path`, locked. Use `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current = path / CURRENT
        self.previous = path / PREVIOUS
        self.next = path / NEXT
        self.scratch = path / SCRATCH

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, make: bool) -> Iterator[BackupFolder]:
        """Yield the folder, locked; `make` makes it, or takes an empty one.

        Raises `StartError` for a folder that is not one of backups, that others can change, or
        that another process is using, and `OSError`.
        """
        path = path.absolute()
        with _for_us_alone() if make else nullcontext():
            if make and not path.exists():
                for each in (*reversed(path.parents), path):
                    if not each.exists():
                        make_passable(each)
            _check(path, make=make)
            with open(path / LOCK, "a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StartError(f"{path} is in use by another backup or restore") from None
                folder = cls(path)
                folder.tidy()
                yield folder

    def tidy(self) -> None:
        """Finish the renaming of a backup that was complete, and remove what a restore left."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if not self.current.is_dir():
            for other in (self.next, self.previous):
                if (other / manifest.NAME).is_file():
                    other.rename(self.current)
                    return

    def begin(self) -> Path:
        """Return the folder for the next backup, in which a killed one may have left parts."""
        make_passable(self.next)
        (self.next / manifest.NAME).unlink(missing_ok=True)
        return self.next

    def finish(self, text: str) -> None:
        """Write the manifest and make `next` the last backup."""
        _sync_disk(self.next)
        write_file(self.next / manifest.NAME, text)
        if self.current.exists():
            shutil.rmtree(self.previous, ignore_errors=True)
            self.current.rename(self.previous)
        self.next.rename(self.current)
        sync(self.path)

    @contextmanager
    def emptied_scratch(self) -> Iterator[Path]:
        """Yield an empty folder, which is removed at the end."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        make_passable(self.scratch)
        try:
            yield self.scratch
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)


def make_passable(path: Path) -> None:
    """Make a folder, or take the one that is there. If it is root's, others can pass through it, as
    Dovecot's user has to."""
    path.mkdir(mode=OWNER_ONLY, exist_ok=True)
    if os.geteuid() == 0:
        path.chmod(PASSABLE)


@contextmanager
def _for_us_alone() -> Iterator[None]:
    """Close all new files to others. A restore must not: it makes folders of other programs."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def write_file(path: Path, text: str) -> None:
    """Replace a file atomically; only its owner can read it. Raises `OSError`."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or the names in a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_disk(path: Path) -> None:
    """Flush the file system of `path` to its disk, in one call for all messages: syncfs(2)."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def _check(path: Path, *, make: bool) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise StartError(f"there is no folder {path}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise StartError(f"{path} is not a folder")
    if status.st_uid not in (0, os.geteuid()):
        raise StartError(f"{path} belongs to uid {status.st_uid}, who could change the backup")
    if status.st_mode & stat.S_IWOTH:
        raise StartError(f"everybody can write to {path}: chmod o-w {path}")
    mark = path / MARK
    if mark.is_file():
        return
    if not make:
        raise StartError(f"{path} is not a folder of `gatepost backup`: it has no {MARK}")
    # a new file system has this folder
    if strange := sorted({each.name for each in path.iterdir()} - {"lost+found", f"{MARK}.new"}):
        raise StartError(
            f"{path} is not empty (it has {strange[0]!r}), and not a folder of `gatepost backup`"
        )
    write_file(mark, _MARK_TEXT)
