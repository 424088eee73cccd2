"""Files of keys: read with care, written so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from gatepost.files import open_regular
from milters.keys.errors import KeysError
from msgauth.keys import MAX_KEY_FILE, BadKeyError, SigningKey

LOCK_PATIENCE = 10.0
"""Seconds to wait for another command that changes the same folder; it needs less than one."""

_LOCK_POLL = 0.05


class KeyFileError(KeysError):
    """A file or folder of keys cannot be used; the text names it and says what to do.

    It is `printable`, whatever the file is called.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


def printable(text: str) -> str:
    """The text on one line and encodable: a file name may hold any octet but NUL and the slash."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def read_key(path: Path) -> SigningKey:
    """Read a private key; symbolic links are followed, as Kubernetes mounts a Secret with two.

    Raises `KeyFileError` when the file cannot be read, is open to everybody, or holds no key that
    may sign. A file that its group may read is accepted: that is how a Secret is mounted for a pod
    with an fsGroup.
    """
    return to_key(path, read_private(path))


def to_key(path: Path, data: bytes) -> SigningKey:
    """The key that `data`, the content of `path`, is; raises `KeyFileError`."""
    try:
        return SigningKey.parse(data)
    except BadKeyError as error:
        raise KeyFileError(f"{path}: {error}") from error


def read_private(path: Path) -> bytes:
    """The content of a key file, as `read_key` accepts it; raises `KeyFileError`."""
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
    """Whether `path`, behind symbolic links, is a folder; raises `KeyFileError` for a dead link."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        raise KeyFileError(f"{path}: leads nowhere: {error.strerror}") from error


def read_text(path: Path, most: int) -> str | None:
    """The text of a file of ours; None when it does not exist. Raises `KeyFileError`."""
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
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from error


def replace_file(path: Path, text: str, mode: int) -> None:
    """Write the whole of a file at once: who reads it sees the old or the new one."""
    with _naming(path):
        temporary = _write_temporary(path, text.encode(), mode)
        try:
            os.rename(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def create_file(path: Path, data: bytes, mode: int) -> None:
    """As `replace_file`, but raises `KeyFileError` where `path` exists, whatever it is."""
    with _naming(path):
        temporary = _write_temporary(path, data, mode)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise KeyFileError(f"{path}: exists and is not overwritten") from None
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def _write_temporary(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            _give_as(path.parent, file.fileno())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _give_as(folder: Path, descriptor: int) -> None:
    """Made by root, a file belongs to whom its folder belongs to: the daemon is to read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path, *, parents: bool = False, group: int | None = None) -> None:
    """Make a folder: what its group may do is as in the folder above, others may nothing.

    `group` is the id of the group it is given to instead of the group of the folder above.
    """
    with _naming(path):
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        above = path.parent.stat()
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not path.is_dir():
                raise KeyFileError(f"{path}: is no folder") from None
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if group is None:
                _give_as(path.parent, descriptor)
            else:
                os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, 0o700 | above.st_mode & 0o2050)
        finally:
            os.close(descriptor)
        _sync_folder(path.parent)


def key_mode(folder: Path) -> int:
    """The mode of a new private key: its group may read it where it may enter the folder."""
    with _naming(folder):
        return 0o640 if folder.stat().st_mode & stat.S_IXGRP else 0o600


@contextlib.contextmanager
def locked(folder: Path, patience: float = LOCK_PATIENCE) -> Iterator[None]:
    """Keep other commands from changing the folder; raises `KeyFileError` when one does not end."""
    path = folder / ".lock"
    with _naming(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _give_as(folder, descriptor)
    with open(descriptor, "wb"):
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise KeyFileError(
                        f"{folder}: another command has been changing the keys for "
                        f"{patience:.0f} s; try again"
                    ) from None
                time.sleep(_LOCK_POLL)
        yield
