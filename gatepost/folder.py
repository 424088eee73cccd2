"""A folder that is held by its descriptor, for changes that root makes in it.

The folder may belong to another user, who can swap its entries at any time for links, FIFOs,
devices or other files. So every entry is named from the descriptor, no link is ever followed, and
owner and mode are only ever set on what was made here a moment ago: a file that was there before
may be a second name (hard link) of a file that is nobody's business.
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
    """The folder that `path` led to when it was opened, whatever `path` leads to later.

    Use it as a context manager, or `close()` it. Every method raises `OSError`.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        """For messages."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder; links on the way are followed as `gatepost.reach` does."""
        handle, _ = reach(path)
        try:
            return cls(os.open(".", _FOLDER, dir_fd=handle), path)
        finally:
            os.close(handle)

    @classmethod
    def make(cls, path: Path, mode: int = 0o755) -> Self:
        """Open a folder and make what is missing of its path; new folders are this process's."""
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
        """Let go of the folder."""
        os.close(self.descriptor)

    def status(self) -> os.stat_result:
        """Owner and mode of the folder itself."""
        return os.fstat(self.descriptor)

    def find(self, name: str) -> os.stat_result | None:
        """Return the status of an entry, of a link itself; None when there is no entry `name`."""
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
        """Open a regular file in it to read it; what else has that name is an error."""
        return open_entry(self.descriptor, name)

    def enter(self, name: str) -> OpenFolder:
        """Open a folder in it."""
        return OpenFolder(os.open(name, _FOLDER, dir_fd=self.descriptor), self.path / name)

    def add_folder(
        self, name: str, mode: int | None = None, owner: int = -1, group: int = -1
    ) -> OpenFolder:
        """Make a folder in it, with this mode and these ids; -1 leaves one as it is.

        Without a mode it is for this user alone, and hands on the group that this folder hands on
        (set-group-id). Raises `FileExistsError` where there is an entry of that name.
        """
        os.mkdir(name, 0o700, dir_fd=self.descriptor)
        made = self.enter(name)
        try:
            _insist_on_new(made)
            os.fchown(made.descriptor, owner, group)
            if mode is not None:
                os.fchmod(made.descriptor, mode)  # after fchown, which takes away set-id bits
            self.sync()
        except BaseException:
            made.close()
            raise
        return made

    def add_file(self, name: str, mode: int, owner: int = -1, group: int = -1) -> None:
        """Make an empty file; raises `FileExistsError`."""
        descriptor = os.open(name, _NEW, 0o600, dir_fd=self.descriptor)
        try:
            os.fchown(descriptor, owner, group)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def create(self, name: str, data: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
        """Write a new file, which is seen when it is whole; raises `FileExistsError`."""
        with self._written(data, mode, owner, group) as temporary:
            os.link(
                temporary,
                name,
                src_dir_fd=self.descriptor,
                dst_dir_fd=self.descriptor,
                follow_symlinks=False,
            )

    def replace(self, name: str, data: bytes, mode: int, owner: int = -1, group: int = -1) -> None:
        """Write a file and put it in the place of `name`: who reads sees the old or the new."""
        with self._written(data, mode, owner, group) as temporary:
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    @contextlib.contextmanager
    def _written(self, data: bytes, mode: int, owner: int, group: int) -> Iterator[str]:
        """Yield the name of a file with this content, which is removed unless it was renamed."""
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
        """Remove an entry that is no folder; nothing happens when there is none."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder in it; nothing happens when there is none."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Have the disk know the names that were given and taken."""
        os.fsync(self.descriptor)

    def way_to(self, name: str) -> str:
        """Return a path to an entry through the descriptor, for calls that take only paths."""
        return f"/proc/self/fd/{self.descriptor}/{name}"


def _insist_on_new(folder: OpenFolder) -> None:
    """Raise `OSError` unless this folder is ours and empty, as one is that was just made."""
    if folder.status().st_uid != os.geteuid() or any(True for _ in folder.names()):
        raise OSError(errno.EBUSY, "somebody else changes the folder", str(folder.path))
