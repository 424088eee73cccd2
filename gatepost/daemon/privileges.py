"""Dropping of root privileges, after the sockets are open."""

from __future__ import annotations

import os
import pwd

from gatepost.errors import StartError


def drop_privileges(user: str | None) -> None:
    """Become `user` with its groups if this process is root; raises `StartError`.

    Without root, this does nothing, but fails if `user` is a different user.
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
