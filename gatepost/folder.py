"""A folder held by its descriptor, for changes by root.

The folder may belong to another user, who can replace its entries at any time by links, FIFOs,
devices or other files. So every entry is accessed relative to the descriptor, links are never
followed, and owner and mode are only set on newly created entries: an existing file may be a hard
link to any other file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from gatepost.files import open_entry
from gatepost.reach import reach

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OpenFolder:
    """The folder at `path` when it was opened, whatever `path` leads to later.

    Use it as a context manager, or `close()` it. Every method raises `OSError`.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        """For messages."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder; links in the path are followed as in `gatepost.reach`."""
        handle, _ = reach(path)
        try:
            return cls(os.open(".", _FOLDER, dir_fd=handle), path)
        finally:
            os.close(handle)

    @classmethod
    def make(cls, path: Path, mode: int = 0o755) -> Self:
        """Open a folder, creating missing parts of its path; new folders belong to this process's
        user."""
        try:
            return cls.open(path)
        except FileNotFoundError:
            if path.parent == path:
                raise
        with cls.make(path.parent) as above:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path.name, mode, dir_fd=above.descriptor)
            return cls.open(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self.descriptor)

    def status(self) -> os.stat_result:
        """Return the status of the folder itself, with owner and mode."""
        return os.fstat(self.descriptor)

    def find(self, name: str) -> os.stat_result | None:
        """Return the status of an entry (of a link itself), or None if there is no entry `name`."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> Iterator[str]:
        """Yield the names of its entries, in no order."""
        with os.scandir(self.descriptor) as scan:
            for entry in scan:
                yield entry.name

    def read(self, name: str) -> BinaryIO:
        """Open a regular file in it for reading; anything else is an error."""
        return open_entry(self.descriptor, name)

    def enter(self, name: str) -> OpenFolder:
        """Open a folder in it."""
        return OpenFolder(os.open(name, _FOLDER, dir_fd=self.descriptor), self.path / name)

    def add_folder(
        self, name: str, mode: int | None = None, owner: int = -1, group: int = -1
    ) -> OpenFolder:
        """Create a folder in it, with this mode and these ids; -1 keeps the default.

        Without a mode, only this user may access it, and it inherits the set-group-id bit of this
        folder. Raises `FileExistsError` if an entry of that name exists.
        """
        os.mkdir(name, 0o700, dir_fd=self.descriptor)
        made = self.enter(name)
        try:
            _insist_on_new(made)
            os.fchown(made.descriptor, owner, group)
            if mode is not None:
                os.fchmod(made.descriptor, mode)  # after fchown, which clears set-id bits
            self.sync()
        except BaseException:
            made.close()
            raise
        return made

    def add_file(self, name: str, mode: int, owner: int = -1, group: int = -1) -> None:
        """Create an empty file; raises `FileExistsError`."""
        descriptor = os.open(name, _NEW, 0o600, dir_fd=self.descriptor)
        try:
            os.fchown(descriptor, owner, group)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def create(self, name: str, data: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
        """Create a file atomically; raises `FileExistsError`."""
        with self._written(data, mode, owner, group) as temporary:
            os.link(
                temporary,
                name,
                src_dir_fd=self.descriptor,
                dst_dir_fd=self.descriptor,
                follow_symlinks=False,
            )

    def replace(self, name: str, data: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
        """Replace the file `name` atomically: readers see the old or the new one."""
        with self._written(data, mode, owner, group) as temporary:
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    @contextlib.contextmanager
    def _written(self, data: bytes, mode: int, owner: int, group: int) -> Iterator[str]:
        """Yield the name of a temporary file with this content, which is removed unless renamed."""
        name = f".new.{secrets.token_hex(8)}"
        descriptor = os.open(name, _NEW, 0o600, dir_fd=self.descriptor)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchown(descriptor, owner, group)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            yield name
        finally:
            self.remove(name)
        self.sync()

    def remove(self, name: str) -> None:
        """Remove an entry that is not a folder, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder in it, if it exists."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Flush added and removed names to the disk."""
        os.fsync(self.descriptor)

    def way_to(self, name: str) -> str:
        """Return a path to an entry through the descriptor, for calls that take only paths."""
        return f"/proc/self/fd/{self.descriptor}/{name}"


def _insist_on_new(folder: OpenFolder) -> None:
    """Raise `OSError` unless this folder is ours and empty, like a newly created one."""
    if folder.status().st_uid != os.geteuid() or any(True for _ in folder.names()):
        raise OSError(errno.EBUSY, "another process is changing the folder", str(folder.path))
