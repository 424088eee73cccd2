"""Sees that a configuration changed on disk.

Looks at the files instead of waiting for inotify: a ConfigMap or Secret that Kubernetes swaps is a
symlink to a new folder, and only what the path leads to tells (`os.stat` follows it).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

MAX_ENTRIES = 10_000
"""Files below a watched folder that are looked at: a folder of keys has two a domain."""

_State = tuple[tuple[str, int, int, int], ...]


class Watch:
    """Files and folders whose change means "read again"."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._state = self._look()

    def changed(self) -> bool:
        """Whether anything is different from the last time this was asked."""
        state = self._look()
        if state == self._state:
            return False
        self._state = state
        return True

    def _look(self) -> _State:
        seen: list[tuple[str, int, int, int]] = []
        for path in self._paths:
            self._add(str(path), seen)
            if path.is_dir():
                for folder, folders, files in os.walk(path, followlinks=False):
                    folders.sort()
                    for name in sorted(files):
                        if len(seen) >= MAX_ENTRIES:
                            return tuple(seen)
                        self._add(os.path.join(folder, name), seen)
        return tuple(seen)

    @staticmethod
    def _add(path: str, seen: list[tuple[str, int, int, int]]) -> None:
        try:
            found = os.stat(path)
        except OSError:
            seen.append((path, 0, 0, 0))
        else:
            seen.append((path, found.st_mtime_ns, found.st_size, found.st_ino))
