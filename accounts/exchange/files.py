"""Files of a source, read once with a bound on each and on their number."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from accounts.exchange.notes import SourceError

LARGEST_FILE = 256 << 20
"""Octets of one file: a dump of a million mailboxes fits."""

LARGEST_DOCUMENT = 64 << 20
"""Octets of a JSON or YAML document, which is in memory as a tree while it is read."""

MOST_FILES = 20_000
"""Files below one folder; docker-dovecot-rspamd has two for each user."""

DEEPEST_FOLDER = 6


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The content of files by name, which is relative to their folder, with `/` between parts."""

    content: Mapping[str, bytes]

    def named(self, *names: str) -> Iterator[tuple[str, bytes]]:
        """Yield the files whose last part of the name is one of `names`."""
        for name, data in self.content.items():
            if name.rpartition("/")[2] in names:
                yield name, data


def load(*paths: Path, largest: int = LARGEST_FILE) -> SourceFiles:
    """Read files, and all files below folders.

    A path that is a file has its own name, one below a folder the name relative to that folder.
    Raises `SourceError` if a file is missing, is no regular file or has more than `largest` octets.
    """
    content: dict[str, bytes] = {}
    for path in paths:
        if path.is_dir():
            for name, file in _below(path, path, 0):
                _put(content, name, file, largest)
        else:
            _put(content, path.name, path, largest)
    return SourceFiles(content)


def _put(content: dict[str, bytes], name: str, path: Path, largest: int) -> None:
    if name in content:
        raise SourceError(f"{path}: two files are called {name}")
    if len(content) == MOST_FILES:
        raise SourceError(f"{path}: there are more than {MOST_FILES} files")
    content[name] = read_file(path, largest)


def _below(root: Path, folder: Path, depth: int) -> Iterator[tuple[str, Path]]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from None
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            continue
        if entry.is_dir():
            if depth < DEEPEST_FOLDER:
                yield from _below(root, entry, depth + 1)
        elif entry.is_file():
            yield entry.relative_to(root).as_posix(), entry


def read_file(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Return the content of a regular file of at most `largest` octets, or raise `SourceError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is not valid"
        raise SourceError(f"{path}: {reason}") from None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SourceError(f"{path}: not a regular file")
        data = file.read(largest + 1)
    if len(data) > largest:
        raise SourceError(f"{path}: the file is larger than {largest >> 20} MiB")
    return data
