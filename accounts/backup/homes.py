"""Homes of mailboxes in a backup: their names, and copies that share the messages.

A home has the layout of the Dovecot image: `mail` is a Maildir with folders below it, `sieve` has
the scripts. A message is a file that never changes: its flags are in its name (maildir(5)). So the
next backup begins as a tree of hard links to the messages of the last one.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

MESSAGES: Final = frozenset({"cur", "new"})
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=-")
_MAX_DEPTH: Final = 200
_NO_LINKS: Final = frozenset({errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV})


def folder_name(text: str) -> str:
    """Return a name for a file that has no meaning to the file system, whatever the text is."""
    quoted = "".join(
        char if char in _PLAIN else "".join(f"%{octet:02X}" for octet in char.encode())
        for char in text
    )
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def home_of_address(address: str) -> Path:
    """Return the relative path of the home of a mailbox, DOMAIN/NAME."""
    name, _, domain = address.rpartition("@")
    return Path(folder_name(domain)) / folder_name(name)


def addresses(homes: Path) -> Iterator[str]:
    """Yield the addresses of the homes in a backup, in order."""
    for domain in sorted(homes.iterdir()):
        for home in sorted(domain.iterdir()) if domain.is_dir() else ():
            if home.is_dir() and not home.name.startswith("~"):
                yield f"{unquote(home.name)}@{unquote(domain.name)}"


def link_home(source: Path, target: Path) -> None:
    """Make `target` a copy of a home that shares its messages; it is there completely or not at
    all. Nothing is done if it exists. Raises `OSError`."""
    if target.exists():
        return
    new = target.with_name("~new")  # no address has such a name
    shutil.rmtree(new, ignore_errors=True)
    _copy(source, new, share=False, depth=_MAX_DEPTH)
    new.rename(target)


def _copy(source: Path, target: Path, *, share: bool, depth: int) -> None:
    target.mkdir(mode=0o700)
    with os.scandir(source) as scan:
        for entry in scan:
            place = target / entry.name
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
            elif entry.is_dir(follow_symlinks=False):
                if depth:
                    _copy(Path(entry.path), place, share=entry.name in MESSAGES, depth=depth - 1)
            elif not (share and _link(entry.path, place)):
                shutil.copy2(entry.path, place, follow_symlinks=False)


def _link(source: str, target: Path) -> bool:
    """Make a hard link; return False where the file system has none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except PermissionError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True
