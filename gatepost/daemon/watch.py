"""Sees that a configuration changed on disk.

Looks at the files instead of waiting for inotify: a ConfigMap or Secret that Kubernetes swaps is a
symlink to a new folder, and only what the path leads to tells (`os.stat` follows it).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LOOK_INTERVAL = 2.0
"""Seconds between two looks at the files of the configuration."""

MAX_ENTRIES = 10_000
"""Files that are looked at, those of folders too: a folder of keys has two a domain."""

_Entry = tuple[str | int, ...]
_State = dict[Path, list[_Entry]]
"""The entries seen of each file or folder that is watched."""


class Watch:
    """Files and folders whose change means "read again"."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._state = self._before = self._look()

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch these from now on: a configuration that was read anew may name others.

        A change of one that was watched already is still seen.
        """
        if (new := tuple(paths)) != self._paths:
            known = self._state
            self._paths = new
            found = self._look()
            self._state = self._before = {path: known.get(path, found[path]) for path in found}

    def about_to_read(self) -> None:
        """Take what is there now for known: it is read next, for another reason than a change.

        What changes from now on, while it is read too, is a change.
        """
        self._state = self._before = self._look()

    def changed(self) -> bool:
        """Return whether anything has changed since this was last true, and now rests.

        What is different from the last time this was asked may be half written: it counts when it
        is the same once more.
        """
        before, self._before = self._before, self._look()
        if self._before == self._state or self._before != before:
            return False
        self._state = self._before
        return True

    def _look(self) -> _State:
        state: _State = {}
        left = MAX_ENTRIES
        for path in self._paths:
            seen = list(itertools.islice(_entries(path), left))
            left -= len(seen)
            state[path] = seen
        return state


def _entries(path: Path) -> Iterator[_Entry]:
    """Yield an entry for a file, or for a folder and the files below it."""
    yield _entry(str(path))
    if os.path.isdir(path):  # Path.is_dir raises where it may not look
        for folder, folders, files in os.walk(path, followlinks=False):
            folders.sort()
            for name in sorted(files):
                yield _entry(os.path.join(folder, name))


def _entry(path: str) -> _Entry:
    try:
        found = os.stat(path)
    except OSError:
        return (path,)
    # who may read it is part of it: chmod and chown are how a key is made usable
    access = found.st_mode, found.st_uid, found.st_gid
    return (path, found.st_mtime_ns, found.st_size, found.st_ino, *access)
