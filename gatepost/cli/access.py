"""What a daemon will find when it starts: can its user open keys, files, store and sockets?

Nothing is changed and no socket is opened, so a daemon that runs is not disturbed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gatepost.cli.as_user import Found, run_as
from gatepost.cli.configuration import Configuration
from gatepost.cli.service import Account, Service, find_account, find_group
from gatepost.errors import StartError
from gatepost.listen import Address, Unix
from milters.keys.store import Harm, load
from policyd.build import faults


@dataclass(frozen=True, slots=True)
class Sockets:
    """The addresses that a daemon listens on, by the key that names them."""

    addresses: tuple[tuple[str, Address], ...]
    group: str | None
    mode: int

    @property
    def unix(self) -> tuple[tuple[str, Path], ...]:
        """The unix sockets among them."""
        return tuple((key, one.path) for key, one in self.addresses if isinstance(one, Unix))


def look_at(service: Service, loaded: Configuration, path: Path) -> Found:
    """What is wrong, by key: empty when the daemon can open all that it needs.

    `path` is the configuration file. Raises `StartError` when this user cannot find out.
    """
    if service.starter is None or service.runner is None:
        return []
    sockets = _sockets(service.word, loaded)
    found = run_as(service.starter, lambda: (*_file(path), *_folders(sockets, service)))
    found += _of_the_unit(service, sockets, loaded)
    found += run_as(service.runner, _needs(service, loaded, path))
    return list(dict.fromkeys(found))


def postfix_problems(service: Service, loaded: Configuration) -> Iterator[tuple[str, str]]:
    """Unix sockets that Postfix could not connect to, by key; none where there is no Postfix."""
    sockets = _sockets(service.word, loaded)
    if service.starter is None or not sockets.unix:
        return
    try:
        postfix = find_account("postfix")
        if sockets.group is not None:
            find_group(sockets.group)
    except StartError:
        return  # there is no Postfix, or the group is told as a problem
    for key, path in sockets.unix:
        if key.endswith("metrics_listen") or not path.parent.exists():
            continue
        if not run_as(postfix, lambda path=path: _entered(path)):  # type: ignore[misc]
            yield key, f"Postfix (user {postfix}) cannot enter {path.parent}"
            continue
        group = _group_of(sockets, path, service.starter)
        if not sockets.mode & stat.S_IWOTH and not (
            sockets.mode & stat.S_IWGRP and group in postfix.groups
        ):
            yield (
                key,
                f"Postfix (user {postfix}) cannot connect to {path}: its mode will be "
                f'{sockets.mode:04o} and its group {group}; write socket_group = "postfix"',
            )


def unreadable_keys(service: Service, loaded: Configuration) -> list[str]:
    """The keys that the milter's user cannot read, a line each."""
    if service.runner is None:
        return []
    found = run_as(service.runner, lambda: _keys(loaded, (Harm.UNREADABLE,)))
    return [text for _, text in found]


def _sockets(word: str, loaded: Configuration) -> Sockets:
    settings = loaded.milters if word == "milters" else loaded.policyd
    named = [(f"{word}.listen", address) for address in settings.listen]
    if word == "milters":
        more = loaded.milters.submission_listen
        named += [(f"{word}.submission_listen", address) for address in more]
    if settings.metrics_listen is not None:
        named.append((f"{word}.metrics_listen", settings.metrics_listen))
    return Sockets(tuple(named), settings.socket_group, settings.socket_mode)


def _file(path: Path) -> Iterator[tuple[str, str]]:
    """The configuration itself."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        yield "", f"{_me()} cannot read this file: {error.strerror}"


def _folders(sockets: Sockets, service: Service) -> Iterator[tuple[str, str]]:
    """The folders of unix sockets: a socket is made there, and a stale one removed."""
    for key, path in sockets.unix:
        if service.unit is not None and service.unit.makes(path.parent):
            continue
        try:
            about = path.parent.stat()
        except OSError as error:
            yield key, f"{_me()} cannot reach {path.parent}: {error.strerror}"
            continue
        if not os.access(path.parent, os.W_OK | os.X_OK):
            yield (
                key,
                f"{_me()} may not make a socket in {path.parent}: the folder has mode "
                f"{stat.S_IMODE(about.st_mode):04o} and belongs to uid {about.st_uid}, "
                f"gid {about.st_gid}",
            )
        elif path.exists() and not path.is_socket():
            yield key, f"{path} is there and is no socket"


def _of_the_unit(service: Service, sockets: Sockets, loaded: Configuration) -> Found:
    """What the unit forbids, and groups that the starter cannot give a socket to."""
    found: Found = []
    account, unit = service.starter, service.unit
    if sockets.unix and sockets.group is not None and account is not None:
        try:
            group = find_group(sockets.group)
            if account.uid != 0 and group not in account.groups:
                found.append(
                    (
                        f"{service.word}.socket_group",
                        f"{account} is not in the group {sockets.group!r} and cannot give it a "
                        f"socket: SupplementaryGroups={sockets.group} in the unit",
                    )
                )
        except StartError as error:
            found.append((f"{service.word}.socket_group", str(error)))
    if unit is None:
        return found
    written = [(key, path.parent) for key, path in sockets.unix]
    if service.word == "policyd" and loaded.policyd.store.kind == "sqlite":
        written.append(("policyd.store.path", loaded.policyd.store.path.parent))
    for key, folder in written:
        if not unit.may_write(folder):
            text = f"{unit.path} keeps {folder} read-only: ReadWritePaths={folder} in [Service]"
            found.append((key, text))
    return found


def _needs(
    service: Service, loaded: Configuration, path: Path
) -> Callable[[], Iterable[tuple[str, str]]]:
    if service.word == "milters":
        harms = (Harm.KEY, Harm.SOURCE, Harm.UNREADABLE)
        return lambda: (*_file(path), *_keys(loaded, harms))
    return lambda: (*_file(path), *faults(loaded, loaded.policyd), *_store(service, loaded))


def _keys(loaded: Configuration, harms: tuple[Harm, ...]) -> Iterator[tuple[str, str]]:
    for problem in load(loaded.milters).problems:
        if problem.harm in harms:
            yield "milters.keys", problem.text


def _store(service: Service, loaded: Configuration) -> Iterator[tuple[str, str]]:
    """The SQLite store: its folder, and its files where they are there."""
    store = loaded.policyd.store
    if store.kind != "sqlite":
        return
    folder = store.path.parent
    if service.unit is not None and service.unit.makes(folder) and not folder.exists():
        return
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent  # it is made with those above it
    if not os.access(folder, os.W_OK | os.X_OK):
        yield "policyd.store.path", f"{_me()} may not write in {folder}, where the store is to be"
        return
    for ending in ("", "-wal", "-shm"):
        file = store.path.with_name(store.path.name + ending)
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            yield "policyd.store.path", f"{_me()} may not read and write {file}"


def _entered(path: Path) -> Iterator[tuple[str, str]]:
    if os.access(path.parent, os.X_OK):
        yield "", "may be entered"


def _group_of(sockets: Sockets, path: Path, account: Account) -> int:
    """The group that a new socket will have; in a folder with setgid it is the folder's."""
    if sockets.group is not None:
        return find_group(sockets.group)
    about = path.parent.stat()
    return about.st_gid if about.st_mode & stat.S_ISGID else account.gid


def _me() -> str:
    return f"uid {os.geteuid()}"
