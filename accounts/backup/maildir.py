"""Reader of the folders in a copied home, which checks a copy without Dovecot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from accounts.backup.homes import MESSAGES

UIDLIST: Final = "dovecot-uidlist"
_HEADER: Final = re.compile(r"3(?: [A-Z][^ ]*)* G([0-9a-f]{32})(?: |$)")
_ENTRY: Final = re.compile(r"[0-9]+(?P<more>(?: [A-Z][^ ]*)*) :(?P<name>.*)")
_MAX_LINE: Final = 4096
_NO_FOLDERS: Final = MESSAGES | {"tmp"}
_MAX_DEPTH: Final = 200


@dataclass(frozen=True, slots=True)
class CopiedFolder:
    """A folder of a mailbox: Dovecot's GUID for it, and its place."""

    guid: str
    path: Path

    def count(self) -> int:
        """Return how many messages there are."""
        return sum(1 for _ in self._names())

    def guids(self) -> set[str]:
        """Return the GUIDs of the messages, by which Dovecot recognizes them anywhere."""
        named = dict(_named(self.path / UIDLIST))
        return {named.get(name, name) for name in self._names()}

    def _names(self) -> Iterator[str]:
        for part in sorted(MESSAGES):
            try:
                scan = os.scandir(self.path / part)
            except FileNotFoundError:
                continue
            with scan:
                yield from (base(entry.name) for entry in scan if not entry.name.startswith("."))


def base(name: str) -> str:
    """Return the name of a message without its flags (maildir(5)), which never changes."""
    return name.partition(":")[0]


def copied_folders(mail: Path, depth: int = _MAX_DEPTH) -> Iterator[CopiedFolder]:
    """Yield the folders in the Maildir `mail` that Dovecot has opened, itself included. There is
    none for a user who has never had a message. Raises `OSError`."""
    if not mail.is_dir():
        return
    if guid := _guid(mail / UIDLIST):
        yield CopiedFolder(guid, mail)
    with os.scandir(mail) as scan:
        names = sorted(
            entry.name
            for entry in scan
            if entry.is_dir(follow_symlinks=False) and entry.name not in _NO_FOLDERS
        )
    for name in names if depth else ():
        yield from copied_folders(mail / name, depth - 1)


def _guid(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = _HEADER.match(file.readline(_MAX_LINE).rstrip("\n"))
    except FileNotFoundError:
        return ""
    return found[1] if found else ""


def _named(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the messages whose GUID is not their name, with it."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        while line := file.readline(_MAX_LINE):
            found = _ENTRY.fullmatch(line.rstrip("\n"))
            for word in found["more"].split() if found else ():
                if found and word.startswith("G"):
                    yield base(found["name"]), word[1:]
