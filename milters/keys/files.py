"""Files of keys: read with care, written so that nobody ever sees half of one."""

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
"""Seconds to wait for another command that changes the same folder; it needs less than one."""

_LOCK_POLL = 0.05

_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of a file system that cannot lock folders, such as NFS."""


class KeyFileError(KeysError):
    """A file or folder of keys cannot be used; the text names it and says what to do.

    It is printable, whatever the file is called.
    """

    def __init__(self, text: str) -> None:
        super().__init__(escape(text))


def read_key(path: Path) -> SigningKey:
    """Read a private key; symbolic links are followed, as Kubernetes mounts a Secret with two.

    Raises `KeyFileError` when the file cannot be read, is open to everybody, or holds no key that
    may sign. A file that its group may read is accepted: that is how a Secret is mounted for a pod
    with an fsGroup.
    """
    return to_key(path, read_private(path))


def to_key(path: Path, data: bytes) -> SigningKey:
    """Return the key that `data`, the content of `path`, is; raises `KeyFileError`."""
    try:
        return SigningKey.parse(data)
    except BadKeyError as error:
        raise KeyFileError(f"{path}: {error}") from error


def read_private(path: Path) -> bytes:
    """Return the content of a key file, as `read_key` accepts it; raises `KeyFileError`."""
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
    """Tell whether `path`, behind links, is a folder; raises `KeyFileError` for a dead link."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        raise KeyFileError(f"{path}: leads nowhere: {error.strerror}") from error


def read_text(path: Path, most: int) -> str | None:
    """Return the text of a file of ours; None when it does not exist. Raises `KeyFileError`."""
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {_why(error, path)}") from error
    if len(data) > most:
        raise KeyFileError(f"{path}: is longer than {most} octets")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: is not UTF-8 text") from None


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise `KeyFileError`, which names `path`, for an `OSError` while it is changed."""
    try:
        yield
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def open_to_change(path: Path, patience: float = LOCK_PATIENCE) -> Iterator[OpenFolder]:
    """Open a folder and keep other commands from changing it; raises `KeyFileError`.

    `patience` is how many seconds it waits for another command that changes the same folder.
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
            # the folder and no file in it: who owns the folder could put another one there
            fcntl.flock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise KeyFileError(
                    f"{folder.path}: another command has been changing the keys for "
                    f"{patience:.0f} s; try again"
                ) from None
            time.sleep(_LOCK_POLL)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return


def owner_within(folder: OpenFolder) -> tuple[int, int]:
    """User and group of what is made in a folder; -1 and -1 for those of this process.

    Made by root, a file belongs to whom its folder belongs to: the daemon is to read it.
    """
    if os.geteuid() != 0:
        return -1, -1
    status = folder.status()
    return status.st_uid, status.st_gid


def replace_file(folder: OpenFolder, name: str, text: str, mode: int) -> None:
    """Write the whole of a file at once: who reads it sees the old or the new one."""
    with naming(folder.path / name):
        folder.replace(name, text.encode(), mode, *owner_within(folder))


def create_file(folder: OpenFolder, name: str, data: bytes, mode: int) -> None:
    """As `replace_file`, but raises `KeyFileError` where `name` exists, whatever it is."""
    path = folder.path / name
    with naming(path):
        try:
            folder.create(name, data, mode, *owner_within(folder))
        except FileExistsError:
            raise KeyFileError(f"{path}: exists and is not overwritten") from None


def remove_file(folder: OpenFolder, name: str) -> None:
    """Remove a file; nothing happens when there is none. Raises `KeyFileError`."""
    with naming(folder.path / name):
        folder.remove(name)


def enter_folder(above: OpenFolder, name: str) -> OpenFolder:
    """Open a folder in another one, and make it where it is missing; raises `KeyFileError`."""
    path = above.path / name
    with naming(path):
        try:
            return OpenFolder.open(path)
        except NotADirectoryError:
            raise KeyFileError(f"{path}: is no folder") from None
        except FileNotFoundError:
            return add_folder(above, name)


def add_folder(above: OpenFolder, name: str, group: int | None = None) -> OpenFolder:
    """Make a folder: what its group may do is as in the folder above, others may nothing.

    `group` is the id of the group it is given to instead of the group of the folder above. Raises
    `KeyFileError`.
    """
    mode = 0o700 | above.status().st_mode & 0o2050
    owner = owner_within(above) if group is None else (-1, group)
    with naming(above.path / name):
        return above.add_folder(name, mode, *owner)


def key_mode(folder: OpenFolder) -> int:
    """Return the mode of a new private key: its group may read it where it may enter the folder."""
    return 0o640 if folder.status().st_mode & stat.S_IXGRP else 0o600
