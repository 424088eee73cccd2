"""Access of a daemon's user to the keys, files, store and sockets that it needs at its start.

It changes nothing and opens no socket, so a running daemon is not disturbed.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gatepost.cli.as_user import KeyRemarks, me, run_as
from gatepost.cli.configuration import Daemon
from gatepost.cli.service import Account, DaemonService, find_account, find_group
from gatepost.config import GroundSettings
from gatepost.errors import StartError
from gatepost.files import open_regular


def look_at(
    service: DaemonService, daemon: Daemon, ground: GroundSettings, path: Path
) -> KeyRemarks:
    """Return the problems by key; empty if the daemon can open everything that it needs.

    `path` is the configuration file. Raises `StartError` if this user cannot find out.
    """
    if service.starter is None or service.runner is None:
        return []
    section, settings = daemon.section, daemon.settings
    section.load(settings)
    found = run_as(service.starter, lambda: (*_file(path), *_folders(daemon, service)))
    found += _of_the_unit(service, daemon)
    found += run_as(
        service.runner,
        lambda: (*_file(path), *section.unopened(ground, settings, service.unit)),
    )
    return list(dict.fromkeys(found))


def postfix_problems(service: DaemonService, daemon: Daemon) -> Iterator[tuple[str, str]]:
    """Yield unix sockets that Postfix could not connect to, by key; none without Postfix."""
    settings = daemon.settings
    if service.starter is None or not daemon.unix_sockets:
        return
    try:
        postfix = find_account("postfix")
        if settings.socket_group is not None:
            find_group(settings.socket_group)
    except StartError:
        return  # there is no Postfix, or the group is reported as a problem
    for key, path in daemon.unix_sockets:
        if key.rpartition(".")[2] not in settings.postfix_keys or not path.parent.exists():
            continue
        if not run_as(postfix, lambda path=path: _entered(path)):  # type: ignore[misc]
            yield key, f"Postfix (user {postfix}) cannot enter {path.parent}"
            continue
        group = _group_of(settings.socket_group, path, service.starter)
        if not settings.socket_mode & stat.S_IWOTH and not (
            settings.socket_mode & stat.S_IWGRP and group in postfix.groups
        ):
            yield (
                key,
                f"Postfix (user {postfix}) cannot connect to {path}: its mode will be "
                f"{settings.socket_mode:04o} and its group {_group_name(group)}; write "
                'socket_group = "postfix"',
            )


def _file(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a problem if the configuration itself is not readable."""
    try:
        open_regular(path).close()
    except OSError as error:
        yield "", f"{me()} cannot read this file: {error.strerror}"


def _folders(daemon: Daemon, service: DaemonService) -> Iterator[tuple[str, str]]:
    """Yield problems of the folders of unix sockets, where a socket is created and a stale one
    removed."""
    for key, path in daemon.unix_sockets:
        if service.unit is not None and service.unit.makes(path.parent):
            continue
        try:
            about = path.parent.stat()
        except OSError as error:
            yield key, f"{me()} cannot reach {path.parent}: {error.strerror}"
            continue
        if not os.access(path.parent, os.W_OK | os.X_OK):
            yield (
                key,
                f"{me()} may not create a socket in {path.parent}: the folder has mode "
                f"{stat.S_IMODE(about.st_mode):04o} and belongs to uid {about.st_uid}, "
                f"gid {about.st_gid}",
            )
        elif path.exists() and not path.is_socket():
            yield key, f"{path} exists and is not a socket"


def _of_the_unit(service: DaemonService, daemon: Daemon) -> KeyRemarks:
    """Return problems with the unit's restrictions and with groups that the starter cannot assign
    to a socket."""
    found: KeyRemarks = []
    account, unit, group = service.starter, service.unit, daemon.settings.socket_group
    if daemon.unix_sockets and group is not None and account is not None:
        try:
            gid = find_group(group)
            if account.uid != 0 and gid not in account.groups:
                found.append(
                    (
                        f"{service.word}.socket_group",
                        f"{account} is not in the group {group!r} and cannot give it a "
                        f"socket: SupplementaryGroups={group} in the unit",
                    )
                )
        except StartError as error:
            found.append((f"{service.word}.socket_group", str(error)))
    if unit is None:
        return found
    written = [(key, path.parent) for key, path in daemon.unix_sockets]
    for key, folder in (*written, *daemon.section.written_folders(daemon.settings)):
        if not unit.may_write(folder):
            text = f"{unit.path} keeps {folder} read-only: ReadWritePaths={folder} in [Service]"
            found.append((key, text))
    return found


def _entered(path: Path) -> Iterator[tuple[str, str]]:
    if os.access(path.parent, os.X_OK):
        yield "", "may be entered"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _group_of(group: str | None, path: Path, account: Account) -> int:
    """Return the group of a new socket; in a folder with setgid it is the folder's group."""
    if group is not None:
        return find_group(group)
    about = path.parent.stat()
    return about.st_gid if about.st_mode & stat.S_ISGID else account.gid
