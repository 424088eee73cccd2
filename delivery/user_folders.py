"""Folders of the users of spamd, as ``--virtual-config-dir`` names them: their files `user_prefs`.

No path is followed through a symbolic link: spamd, which reads mail of strangers, can write here.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from delivery.preferences import ScanWishes
from delivery.user import SITE, SpamUser, safe_user
from delivery.user_prefs import SHARED_PREFIX, is_ours, prefs_text, shared_user

MAX_PREFS: Final = 64 * 1024
"""Octets of a file that are read: a longer one is not ours."""
SHARED_DAYS: Final = 7
"""Days after its last use that a folder of shared preferences stays."""

_PREFS: Final = "user_prefs"
_NEW: Final = ".user_prefs.new"
_BAYES: Final = ("bayes_toks", "bayes_seen", "bayes_journal")
_DAY: Final = 86_400
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UserFolders:
    """The folders below `users_folder`."""

    def __init__(self, root: Path, log: FilteringBoundLogger) -> None:
        self._root = root
        self._log = log
        self._silent_until = 0.0

    def prepare(self, name: str, wishes: ScanWishes) -> str:
        """Write the preferences for a scan, if they differ, and return the user for spamd.

        `name` is a mailbox with Bayes data of its own, or that of the site, or empty. If the file
        cannot be written, the scan is done without it: the mail is judged as without preferences.
        """
        user = safe_user(name)
        try:
            if user is not None:
                self._prepare_own(user, wishes)
            elif any(wishes):
                name = str(self._prepare_shared(wishes))
        except OSError as error:
            self._complain(f"{error.strerror or error}: {self._root}", name)
        return name

    def _prepare_own(self, user: SpamUser, wishes: ScanWishes) -> None:
        if not any(wishes):
            with contextlib.suppress(FileNotFoundError), self._open(user) as folder:
                found = _read(folder)
                if found and is_ours(found):
                    os.unlink(_PREFS, dir_fd=folder)
            return
        with self._open(user, make=True) as folder:
            self._write(folder, prefs_text(wishes))

    def _prepare_shared(self, wishes: ScanWishes) -> SpamUser:
        text = prefs_text(wishes, is_shared=True)
        user = shared_user(text)
        with self._open(user, make=True) as folder:
            if self._write(folder, text):
                for name in _BAYES:
                    with contextlib.suppress(FileExistsError):
                        os.symlink(f"../{SITE.local}/{name}", name, dir_fd=folder)
                self._prune(user)
            elif os.stat(_PREFS, dir_fd=folder).st_mtime < time.time() - _DAY:
                os.utime(_PREFS, dir_fd=folder)
        return user

    def _write(self, folder: int, text: bytes) -> bool:
        """Replace the file at once, unless it is as it should be; returns whether it was done."""
        found = _read(folder)
        if found == text:
            return False
        if found is not None and not is_ours(found):
            raise OSError(f"a {_PREFS} of somebody else is in the way")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_NEW, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(_NEW, flags, dir_fd=folder), "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o664)
        os.rename(_NEW, _PREFS, src_dir_fd=folder, dst_dir_fd=folder)
        return True

    def _prune(self, used: SpamUser) -> None:
        """Remove folders of shared preferences that nobody has used for some days."""
        oldest = time.time() - SHARED_DAYS * _DAY
        with self._open_domain(SITE.domain) as site:
            for name in os.listdir(site):
                if not name.startswith(SHARED_PREFIX) or name == used.local:
                    continue
                with contextlib.suppress(OSError):
                    one = os.open(name, _FOLDER, dir_fd=site)
                    try:
                        if os.stat(_PREFS, dir_fd=one).st_mtime >= oldest:
                            continue
                        for file in os.listdir(one):
                            os.unlink(file, dir_fd=one)
                    finally:
                        os.close(one)
                    os.rmdir(name, dir_fd=site)

    @contextlib.contextmanager
    def _open(self, user: SpamUser, *, make: bool = False) -> Iterator[int]:
        with self._open_domain(user.domain, make=make) as domain:
            folder = _enter(user.local, domain, make=make)
            try:
                yield folder
            finally:
                os.close(folder)

    @contextlib.contextmanager
    def _open_domain(self, name: str, *, make: bool = False) -> Iterator[int]:
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            domain = _enter(name, root, make=make)
        finally:
            os.close(root)
        try:
            yield domain
        finally:
            os.close(domain)

    def _complain(self, problem: str, user: str) -> None:
        """Log a problem, at most once a minute: each message may meet it."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + 60
            self._log.warning("preferences not written", problem=problem, user=user)


def _enter(name: str, parent: int, *, make: bool) -> int:
    is_new = False
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
            is_new = True
    folder = os.open(name, _FOLDER, dir_fd=parent)
    if is_new:
        # the group of a set-group-ID folder is that of spamd, which writes Bayes data here
        os.fchmod(folder, os.fstat(folder).st_mode & stat.S_ISGID | 0o775)
    return folder


def _read(folder: int) -> bytes | None:
    """Return the content of the file; None if there is none. A link is not ours."""
    try:
        found = os.open(
            _PREFS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
    except FileNotFoundError:
        return None
    with open(found, "rb") as file:
        return file.read(MAX_PREFS)
