"""Creation of a unix socket in a folder that may belong to another user.

bind() creates the entry under a name, and owner and mode can only be set by that name. If another
user swapped the entry in between, root would change a file of that user's choice. So the socket is
created in a folder that only this process may change, gets its owner and mode there, and listens;
then it is renamed to its final place.
"""

from __future__ import annotations

import errno
import grp
import os
import secrets
import socket
import stat
from pathlib import Path

from gatepost.errors import StartError
from gatepost.folder import OpenFolder

BACKLOG = 1024
"""Connections that may wait: Postfix opens one per smtpd process, default_process_limit is 100, and
net.core.somaxconn limits this."""

_NAME = "socket"
"""Its temporary name: short, because sockaddr_un has room for 107 octets."""


def remove_stale_socket(folder: OpenFolder, path: Path) -> None:
    """Remove a unix socket that nobody listens on; raises `StartError` for anything else there.

    `path` leads to the entry; its last part is the name in `folder`. Raises `OSError`, too.
    """
    status = folder.find(path.name)
    if status is None:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise StartError(f"cannot listen on unix:{path}: a file that is not a socket exists there")
    if not _somebody_listens(folder, path.name):
        folder.remove(path.name)
        return
    raise StartError(f"cannot listen on unix:{path}: another process listens there")


def _somebody_listens(folder: OpenFolder, name: str) -> bool:
    try:
        # a handle of the entry itself: connect() would follow a link that replaced it meanwhile
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return False
    try:
        if not stat.S_ISSOCK(os.fstat(handle).st_mode):
            return True
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(f"/proc/self/fd/{handle}")
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        pass  # a process listens, but is too busy to answer
    finally:
        os.close(handle)
    return True


def bind_unix(
    listener: socket.socket, folder: OpenFolder, path: Path, mode: int, group: str | None
) -> None:
    """Make `listener` listen in `folder` under the last part of `path`, with this mode and group.

    An existing entry is not replaced. Raises `StartError` and `OSError`.
    """
    gid = _gid(group, path)
    private = f".new.{secrets.token_hex(8)}"
    try:
        with folder.add_folder(private) as made:
            try:
                listener.bind(made.way_to(_NAME))
                _set_access(made, path, mode, gid)
                listener.listen(BACKLOG)
                _give_name(made, folder, path)
            finally:
                made.remove(_NAME)
    finally:
        folder.remove_folder(private)


def _gid(group: str | None, path: Path) -> int:
    if group is None:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StartError(f"there is no group {group!r} for unix:{path}") from None


def _set_access(made: OpenFolder, path: Path, mode: int, gid: int) -> None:
    try:
        os.chown(_NAME, -1, gid, dir_fd=made.descriptor, follow_symlinks=False)
        os.chmod(_NAME, mode, dir_fd=made.descriptor)  # not a link: nobody else can create one here
    except OSError as error:
        raise StartError(f"cannot set group and mode of unix:{path}: {error.strerror}") from None


def _give_name(made: OpenFolder, folder: OpenFolder, path: Path) -> None:
    try:
        os.link(
            _NAME,
            path.name,
            src_dir_fd=made.descriptor,
            dst_dir_fd=folder.descriptor,
            follow_symlinks=False,
        )
    except FileExistsError:  # another daemon was faster
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from None
