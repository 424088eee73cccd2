"""Leaving root behind, once the sockets are open and the keys can be read by the user."""

from __future__ import annotations

import os
import pwd

from gatepost.errors import StartError


def drop_privileges(user: str | None) -> None:
    """Become `user` with its groups, when this process is root; raises `StartError`.

    Started by another user than root, nothing happens unless `user` is somebody else.
    """
    if user is None:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"there is no user {user!r} to run as") from None
    if os.geteuid() == entry.pw_uid:
        return
    if os.geteuid() != 0:
        raise StartError(f"only root can become the user {user!r}")
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
