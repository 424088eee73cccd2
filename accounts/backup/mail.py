"""Part with the mail and the Sieve scripts of all mailboxes, copied by Dovecot itself."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from accounts.backup.dovecot import FAILED, NO_USER, DoveadmRefusalError, MailStore
from accounts.backup.homes import MESSAGES, addresses, home_of_address, link_home
from accounts.backup.maildir import base, copied_folders
from gatepost.backup.listing import ENDING, LISTED, LISTS, entries, read_list, write_list
from gatepost.backup.part import Saved
from gatepost.cli.as_owner import as_owner_of
from gatepost.cli.output import counted
from gatepost.errors import StartError

INDEX: Final = "~index"
"""Dovecot's index of the copy, beside the home while it is used; no address has this name."""
SHOWN: Final = 3


class MailPart:
    """`gatepost.backup.part.BackupPart` for the mailboxes that `users` returns.

    Everything in the folder of homes is done as Dovecot's user, because that user could put links
    there. `dovecot_user` returns its ids for root, None if this process is not root.
    """

    name: Final = "mail"
    lists_itself: Final = True

    def __init__(
        self,
        store: MailStore,
        users: Callable[[], Iterable[str]],
        dovecot_user: Callable[[], tuple[int, int] | None],
    ) -> None:
        self._store = store
        self._users = users
        self._dovecot_user = dovecot_user

    def save(self, new: Path, before: Path | None) -> Saved:
        """Bring the copy of each mailbox up to date; messages of the last backup are shared."""
        self._open_to_dovecot(new)
        homes, lists = new / LISTED, new / LISTS
        self._make_homes(homes)
        lists.mkdir(mode=0o700, exist_ok=True)
        mailboxes = messages = copied = 0
        users = sorted(set(self._users()))
        for user in users:
            relative = home_of_address(user)
            before_home = None if before is None else before / LISTED / relative
            before_list = None if before is None else _list_of(before / LISTS, relative)
            try:
                self._copy_out(user, homes / relative, before_home)
            except DoveadmRefusalError as error:
                if error.code != NO_USER:
                    raise
                # it was removed meanwhile; a backup that was killed may have its list
                self._forget(homes / relative)
                _list_of(lists, relative).unlink(missing_ok=True)
                continue
            mailboxes += 1
            here, fresh = self._list(homes / relative, _list_of(lists, relative), before_list)
            messages += here
            copied += fresh
        self._forget_others(homes, lists, {home_of_address(user) for user in users})
        return Saved({"mailbox": mailboxes, "message": messages, "new message": copied})

    def find_obstacle(self) -> str | None:
        """Return None: a restore adds to the mail that is there."""
        return None

    def restore(self, saved: Path, scratch: Path) -> Saved:
        """Give each mailbox its messages, folders, flags and scripts. It can be repeated: nothing
        comes twice, and no message is removed."""
        warnings: list[str] = []
        mailboxes = messages = 0
        homes = scratch / LISTED
        self._make_homes(homes)
        for user in addresses(saved / LISTED):
            relative = home_of_address(user)
            home = homes / relative
            with self._as_dovecot(homes):
                home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                link_home(saved / LISTED / relative, home)
            try:
                self._store.copy_in(user, home, home.with_name(INDEX))
            except DoveadmRefusalError as error:
                if error.code != NO_USER:
                    raise
                warnings.append(f"there is no mailbox {user}: its mail was not restored")
            else:
                mailboxes += 1
                messages += self._check_restored(user, saved / LISTED / relative)
            self._forget(home)
        return Saved({"mailbox": mailboxes, "message": messages}, tuple(warnings))

    def _copy_out(self, user: str, home: Path, before: Path | None) -> None:
        with self._as_dovecot(home.parent.parent):
            home.parent.mkdir(mode=0o700, exist_ok=True)
            if before is not None and before.is_dir():
                link_home(before, home)
        index = home.with_name(INDEX)
        self._remove(index)  # of a backup that was killed, for another mailbox
        try:
            self._update(user, home, index)
            with self._as_dovecot(home.parent):
                home.mkdir(mode=0o700, exist_ok=True)  # of a user without any folder
            if missing := self._missing(user, home):
                # mail that came after the copy, or mail that was not copied
                self._store.copy_out(user, home, index)
                if lost := missing & self._missing(user, home):
                    some = ", ".join(sorted(guid for _, guid in lost)[:SHOWN])
                    raise StartError(
                        f"{counted(len(lost), 'message')} of {user} not in the copy, such as {some}"
                    )
        finally:
            self._remove(index)

    def _update(self, user: str, home: Path, index: Path) -> None:
        """Let Dovecot bring the copy up to date, or make it anew if Dovecot cannot.

        It cannot if the copy is of an earlier mailbox with this address, whose INBOX is another
        one, or if a backup was cut off at a bad moment.
        """
        has_copy = home.is_dir()
        try:
            self._store.copy_out(user, home, index)
        except DoveadmRefusalError as error:
            if error.code != FAILED or not has_copy:
                raise
            self._remove(home)
            self._remove(index)
            self._store.copy_out(user, home, index)

    def _missing(self, user: str, home: Path) -> set[tuple[str, str]]:
        """Return the messages that Dovecot has and the copy has not: folder and message."""
        copied = {folder.guid: folder for folder in copied_folders(home / "mail")}
        missing: set[tuple[str, str]] = set()
        for live in self._store.folders(user):
            copy = copied.get(live.guid)
            if copy is not None and copy.count() == live.messages:
                continue
            there = set() if copy is None else copy.guids()
            missing |= {
                (live.guid, guid) for guid in self._store.guids(user, live) if guid not in there
            }
        return missing

    def _check_restored(self, user: str, home: Path) -> int:
        """Return the number of messages of a home; raises `StartError` if Dovecot has fewer."""
        live = {folder.guid: folder.messages for folder in self._store.folders(user)}
        count = 0
        for folder in copied_folders(home / "mail"):
            here = folder.count()
            if live.get(folder.guid, 0) < here:
                raise StartError(f"{user} has fewer messages than the backup in {folder.path}")
            count += here
        return count

    def _list(self, home: Path, file: Path, before: Path | None) -> tuple[int, int]:
        """List a home; return how many messages it has, and how many of them are new."""
        known = _messages_of(before)
        counts = [0, 0]

        def find(path: str) -> tuple[int, str] | None:
            if not _is_message(path):
                return None
            found = known.get(_stable(path))
            counts[0] += 1
            counts[1] += found is None
            return found

        file.parent.mkdir(mode=0o700, exist_ok=True)
        with open(file, "w", encoding="utf-8") as written, self._as_dovecot(home.parent):
            write_list(written, entries(home, find))
        return counts[0], counts[1]

    def _open_to_dovecot(self, new: Path) -> None:
        """Let Dovecot's user, who may not read the part, get through it to the homes."""
        if self._dovecot_user() is not None:
            new.chmod(0o711)

    def _make_homes(self, homes: Path) -> None:
        homes.mkdir(mode=0o700, exist_ok=True)
        if owner := self._dovecot_user():
            os.chown(homes, *owner)

    def _as_dovecot(self, folder: Path) -> AbstractContextManager[None]:
        return as_owner_of(folder / "home")

    def _remove(self, path: Path) -> None:
        with self._as_dovecot(path.parent):
            shutil.rmtree(path, ignore_errors=True)

    def _forget(self, home: Path) -> None:
        self._remove(home)
        self._remove(home.with_name(INDEX))

    def _forget_others(self, homes: Path, lists: Path, kept: set[Path]) -> None:
        """Remove the copies of mailboxes that are no more, and their lists: one of both may have
        been left by a backup that was killed."""
        for domain in sorted(homes.iterdir()):
            for home in sorted(domain.iterdir()):
                if home.relative_to(homes) not in kept:
                    self._remove(home)
        wanted = {_list_of(lists, relative) for relative in kept}
        for domain in sorted(lists.iterdir()):
            for file in sorted(domain.iterdir()):
                if file not in wanted:
                    file.unlink()


def dovecot_user() -> tuple[int, int] | None:
    """Return the ids of the user with whom Dovecot stores mail, for root; None for others."""
    if os.geteuid() != 0:
        return None
    try:
        user, group = (_setting(name) for name in ("mail_uid", "mail_gid"))
        uid = int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except (OSError, KeyError, subprocess.SubprocessError) as error:
        raise StartError(f"cannot learn mail_uid and mail_gid from doveconf: {error}") from None
    return uid, gid


def _setting(name: str) -> str:
    done = subprocess.run(
        ["doveconf", "-h", name], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


def _list_of(lists: Path, relative: Path) -> Path:
    return lists / relative.parent / f"{relative.name}{ENDING}"


def _is_message(path: str) -> bool:
    parts = path.split("/")
    return len(parts) > 2 and parts[0] == "mail" and parts[-2] in MESSAGES


def _stable(path: str) -> str:
    """Return the path of a message without what changes: its flags, and cur or new."""
    folder, _, name = path.rpartition("/")
    return f"{folder.rpartition('/')[0]}/{base(name)}"


def _messages_of(file: Path | None) -> dict[str, tuple[int, str]]:
    """Return size and checksum of the messages in a list by their stable path: about 300 octets
    for each message of the mailbox."""
    if file is None or not file.is_file():
        return {}
    found: dict[str, tuple[int, str]] = {}
    with suppress(StartError):  # a damaged list: everything is read again
        for one in read_list(file):
            if one.link is None and _is_message(one.path):
                found[_stable(one.path)] = (one.size, one.sha256)
    return found
