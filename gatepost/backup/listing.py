"""Lists of the files in a backup with their checksums, and the check against them.

A list is a text file, one JSON object a line, so that a name may have any character: `path`
(relative to the folder of the list), with `size` and `sha256`, or with the `link` that it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gatepost.errors import StartError

LISTS, LISTED = "lists", "homes"
"""The two folders of a part that lists itself: the list of ``homes/A/B`` is ``lists/A/B~list``."""
ENDING = "~list"
_PIECE = 1 << 20
_MAX_LINE = 65536
"""Octets of a line: paths are at most 4096 octets long, six times that as escapes in JSON."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file, or a symbolic link if `link` is not None."""

    path: str
    size: int = 0
    sha256: str = ""
    link: str | None = None

    def line(self) -> str:
        """Return the line of the list, without its end."""
        if self.link is not None:
            return json.dumps({"path": self.path, "link": self.link})
        return json.dumps({"path": self.path, "size": self.size, "sha256": self.sha256})

    @classmethod
    def parse(cls, line: str) -> Listed:
        """Parse a line; raises `ValueError`."""
        found: Any = json.loads(line)
        match found:
            case {"path": str(path), "link": str(link)}:
                listed = cls(path, link=link)
            case {"path": str(path), "size": int(size), "sha256": str(digest)}:
                listed = cls(path, size, digest)
            case _:
                raise ValueError("not the line of a list")
        if path.startswith("/") or "\0" in path or not set(path.split("/")).isdisjoint(_UPWARD):
            raise ValueError(f"{path!r} leads out of the folder")
        return listed


_UPWARD = frozenset({"", ".", ".."})
KnownFiles = Callable[[str], tuple[int, str] | None]
"""Size and checksum of a file that is known to be unchanged, by its path; None for others."""


def digest_of(path: Path) -> tuple[int, str]:
    """Read a regular file and return its size and SHA-256; raises `OSError`, also for another."""
    digest, size = hashlib.sha256(), 0
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        # a folder of the path may be a link, and a device has no end
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every entry below `folder` but folders, with its relative path, in the order of names.

    Memory is for one folder at a time.
    """
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting += [f"{prefix}{name}/" for name in reversed(folders)]
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield prefix + entry.name, entry


def entries(folder: Path, known: KnownFiles = lambda _: None) -> Iterator[Listed]:
    """Yield what is in `folder`, and read each file that is not known.

    Raises `OSError`, and `StartError` for what is neither a file nor a link.
    """
    for path, entry in walk(folder):
        if entry.is_symlink():
            yield Listed(path, link=os.readlink(entry.path))
        elif not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            raise StartError(f"{entry.path} is neither a file nor a folder")
        else:
            yield Listed(path, *(known(path) or digest_of(Path(entry.path))))


def write_list(file: TextIO, listed: Iterable[Listed]) -> None:
    """Write a list to a new file, and flush it to the disk."""
    for one in listed:
        file.write(one.line() + "\n")
    file.flush()
    os.fsync(file.fileno())


def read_list(file: Path) -> Iterator[Listed]:
    """Read a list; raises `StartError` if it is damaged or missing."""
    try:
        with open(file, encoding="utf-8") as lines:
            while line := lines.readline(_MAX_LINE):
                yield Listed.parse(line)
    except (OSError, ValueError, RecursionError) as error:
        raise StartError(f"{file} is damaged: {error}") from None


def damage(folder: Path, listed: Iterable[Listed]) -> Iterator[str]:
    """Compare files with their list, and yield a sentence for each one that is not as it was."""
    for one in listed:
        path = folder / one.path
        try:
            if one.link is not None:
                if os.readlink(path) != one.link:
                    yield f"{path} leads elsewhere"
            elif digest_of(path) != (one.size, one.sha256):
                yield f"{path} has changed"
        except OSError as error:
            yield f"{path}: {error.strerror}"
