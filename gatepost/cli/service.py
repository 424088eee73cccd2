"""The users that start and run a daemon, from the command line, its systemd unit, or the
configuration."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from gatepost.errors import StartError
from gatepost.systemd import Unit, find_unit


@dataclass(frozen=True, slots=True)
class Account:
    """A user with its groups, as of a process."""

    name: str
    uid: int
    gid: int
    groups: frozenset[int]
    """All of them, `gid` too."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_me(self) -> bool:
        """Return whether this process already runs as that user."""
        return self.uid == os.geteuid()


@dataclass(frozen=True, slots=True)
class DaemonService:
    """A daemon: `starter` reads the configuration and opens the sockets, `runner` the rest.

    They differ if root starts it and it then becomes `user`. Both are None if its user is unknown.
    """

    word: str
    starter: Account | None
    runner: Account | None
    unit: Unit | None = None


def find_service(word: str, told: str | None, configured: str | None) -> DaemonService:
    """Return the service ``gatepost-WORD``.

    `told` is the user from the command line, `configured` that of the configuration. Raises
    `StartError` for a missing user or group, and if the daemon could not become `configured`.
    """
    unit = find_unit(f"gatepost-{word}.service")
    if told is not None:
        unit = unit if unit is not None and unit.user == told else None
        account = _account_of(unit) if unit is not None else find_account(told)
        return DaemonService(word, account, account, unit)
    if unit is not None and unit.has_dynamic_user:
        return DaemonService(word, None, None, unit)  # the user does not exist yet
    if unit is not None and unit.user:
        account = _account_of(unit)
        if configured is not None and find_account(configured).uid != account.uid:
            raise StartError(
                f"{unit.path} starts it as {account}, which cannot become user = {configured!r}: "
                f"remove `user`, or write User={configured} into the unit"
            )
        return DaemonService(word, account, account, unit)
    if unit is not None or configured is not None:
        root = find_account("root")
        return DaemonService(word, root, find_account(configured) if configured else root, unit)
    return DaemonService(word, None, None)


def find_account(name: str) -> Account:
    """Return the user of that name or id, with its groups; raises `StartError`."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise StartError(f"there is no user {name!r}") from None
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)


def find_group(name: str) -> int:
    """Return the id of a group; raises `StartError`."""
    try:
        return grp.getgrgid(int(name)).gr_gid if name.isdecimal() else grp.getgrnam(name).gr_gid
    except (KeyError, OverflowError):
        raise StartError(f"there is no group {name!r}") from None


def _account_of(unit: Unit) -> Account:
    """Find the user of a unit; systemd.exec(5), Group=: by default the user's own group."""
    account = find_account(unit.user)
    gid = find_group(unit.last("Group")) if unit.last("Group") else account.gid
    more = {find_group(group) for group in unit.words("SupplementaryGroups")}
    return Account(account.name, account.uid, gid, account.groups | more | {gid})
