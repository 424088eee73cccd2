"""Key files: read with checks of their mode, written atomically."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from gatepost.files import open_regular
from gatepost.folder import OpenFolder
from gatepost.printable import escape
from milters.keys.errors import KeysError
from msgauth.keys import MAX_KEY_FILE, BadKeyError, SigningKey

LOCK_PATIENCE = 10.0
"""Seconds to wait for another command that changes the same folder; a change takes less than
one."""

_LOCK_POLL = 0.05

_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of a file system that cannot lock folders, such as NFS."""


class KeyFileError(KeysError):
    """A file or folder of keys is unusable; the text names it and says what to do.

    The text is printable, whatever the file's name.
    """

    def __init__(self, text: str) -> None:
        super().__init__(escape(text))


def read_key(path: Path) -> SigningKey:
    """Read a private key. Symbolic links are followed, because a Secret mounted by Kubernetes has
    two.

    Raises `KeyFileError` if the file cannot be read, is accessible to everybody, or has no key that
    may sign. A file readable by its group is accepted: a Secret is mounted this way for a pod with
    an fsGroup.
    """
    return to_key(path, read_private(path))


def to_key(path: Path, data: bytes) -> SigningKey:
    """Return the key in `data`, the content of `path`; raises `KeyFileError`."""
    try:
        return SigningKey.parse(data)
    except BadKeyError as error:
        raise KeyFileError(f"{path}: {error}") from error


def read_private(path: Path) -> bytes:
    """Return the content of a key file, with the checks of `read_key`; raises `KeyFileError`."""
    try:
        with open_regular(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                raise KeyFileError(
                    f"{path}: everybody on this machine may read or write this private key "
                    f"(mode {stat.S_IMODE(mode):04o}); make it 0640: chmod o-rwx {path} "
                    "(in Kubernetes: defaultMode: 0440 for the Secret's volume)"
                )
            return file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {_why(error, path)}") from error


def _why(error: OSError, path: Path) -> str:
    if error.errno != errno.EACCES:
        return str(error.strerror)
    try:
        about = path.stat()
    except OSError:
        return f"permission denied for uid {os.geteuid()}: a folder above is closed"
    return (
        f"permission denied for uid {os.geteuid()}: the file has mode "
        f"{stat.S_IMODE(about.st_mode):04o} and belongs to uid {about.st_uid}, gid {about.st_gid}"
    )


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder, following links; raises `KeyFileError` for a dangling
    link."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        raise KeyFileError(f"{path}: dangling link: {error.strerror}") from error


def read_text(path: Path, most: int) -> str | None:
    """Return the text of one of our files, or None if it does not exist; raises `KeyFileError`."""
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {_why(error, path)}") from error
    if len(data) > most:
        raise KeyFileError(f"{path}: larger than {most} octets")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: is not UTF-8 text") from None


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn an `OSError` while `path` is changed into a `KeyFileError` that names it."""
    try:
        yield
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def open_to_change(path: Path, patience: float = LOCK_PATIENCE) -> Iterator[OpenFolder]:
    """Open a folder and lock it against changes by other commands; raises `KeyFileError`.

    `patience` is the number of seconds to wait for another command that changes the folder.
    """
    with contextlib.ExitStack() as stack:
        with naming(path):
            folder = stack.enter_context(OpenFolder.open(path))
            _lock(folder, patience)
        yield folder


def _lock(folder: OpenFolder, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            # lock the folder, not a file in it, which the folder's owner could replace
            fcntl.flock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise KeyFileError(
                    f"{folder.path}: locked by another command for {patience:.0f} s; try again"
                ) from None
            time.sleep(_LOCK_POLL)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return


def owner_within(folder: OpenFolder) -> tuple[int, int]:
    """Return the user and group for new files in a folder; -1 and -1 for those of this process.

    A file created by root gets the owner of its folder, so that the daemon can read it.
    """
    if os.geteuid() != 0:
        return -1, -1
    status = folder.status()
    return status.st_uid, status.st_gid


def replace_file(folder: OpenFolder, name: str, text: str, mode: int) -> None:
    """Replace a file atomically: readers see the old or the new content."""
    with naming(folder.path / name):
        folder.replace(name, text.encode(), mode, *owner_within(folder))


def create_file(folder: OpenFolder, name: str, data: bytes, mode: int) -> None:
    """As `replace_file`, but raises `KeyFileError` if `name` exists, whatever it is."""
    path = folder.path / name
    with naming(path):
        try:
            folder.create(name, data, mode, *owner_within(folder))
        except FileExistsError:
            raise KeyFileError(f"{path}: already exists and is not overwritten") from None


def remove_file(folder: OpenFolder, name: str) -> None:
    """Remove a file if it exists; raises `KeyFileError`."""
    with naming(folder.path / name):
        folder.remove(name)


def enter_folder(above: OpenFolder, name: str) -> OpenFolder:
    """Open a folder within another one, creating it if missing; raises `KeyFileError`."""
    path = above.path / name
    with naming(path):
        try:
            return OpenFolder.open(path)
        except NotADirectoryError:
            raise KeyFileError(f"{path}: is not a folder") from None
        except FileNotFoundError:
            return add_folder(above, name)


def add_folder(above: OpenFolder, name: str, group: int | None = None) -> OpenFolder:
    """Create a folder with the group permissions of its parent, and none for others.

    `group` is the id of its group instead of the parent's. Raises `KeyFileError`.
    """
    mode = 0o700 | above.status().st_mode & 0o2050
    owner = owner_within(above) if group is None else (-1, group)
    with naming(above.path / name):
        return above.add_folder(name, mode, *owner)


def key_mode(folder: OpenFolder) -> int:
    """Return the mode of a new private key: readable by the group if the group may enter the
    folder."""
    return 0o640 if folder.status().st_mode & stat.S_IXGRP else 0o600
