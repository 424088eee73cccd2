"""Detector of changes of the configuration on disk.

It polls the files instead of using inotify: Kubernetes updates a ConfigMap or Secret by replacing a
symlink to a folder, and only the link's target shows the change (`os.stat` follows it).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LOOK_INTERVAL = 2.0
"""Seconds between two checks of the configuration files."""

MAX_ENTRIES = 10_000
"""Maximum files to check, including those in folders: a key folder has two per domain."""

CLOCK_STEP = 0.02
"""Seconds that the times of files may be behind the clock: the kernel takes them from its last
tick."""

_Entry = tuple[str | int, ...]
_State = dict[Path, list[_Entry]]
"""The entries seen of each watched file or folder."""


class Watch:
    """Files and folders to read again when they change."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._state = self._before = self._look()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The watched paths."""
        return self._paths

    def follow(self, paths: Iterable[Path], read_since: float | None = None) -> None:
        """Watch these paths from now on; a reloaded configuration may name others.

        Changes of paths that were already watched are not lost. `read_since` is the time, in
        seconds since the epoch, from which the new ones were read: one that was changed after it
        counts as changed, because the old content may have been read.
        """
        if (new := tuple(paths)) != self._paths:
            known = self._state
            self._paths = new
            found = self._look()
            later = {
                path
                for path in found.keys() - known.keys()
                if read_since is not None and _changed_after(path, read_since - CLOCK_STEP)
            }
            self._state = self._before = {
                path: [] if path in later else known.get(path, found[path]) for path in found
            }

    def about_to_read(self) -> None:
        """Mark the current state as known, because it is about to be read for another reason.

        Any later change counts, even during the reading.
        """
        self._state = self._before = self._look()

    def changed(self) -> bool:
        """Return whether anything has changed since this was last true, and is now stable.

        A file that differs from the previous call may be partly written: it only counts once it
        stays the same.
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
    if os.path.isdir(path):  # Path.is_dir raises without permission
        for folder, folders, files in os.walk(path, followlinks=False):
            folders.sort()
            for name in sorted(files):
                yield _entry(os.path.join(folder, name))


def _changed_after(path: Path, time: float) -> bool:
    """Return whether a file, or one below a folder, was written or replaced after a time."""
    for name, *_ in itertools.islice(_entries(path), MAX_ENTRIES):
        try:
            found = os.stat(name)
        except OSError:
            continue
        if max(found.st_mtime, found.st_ctime) > time:
            return True
    return False


def _entry(path: str) -> _Entry:
    try:
        found = os.stat(path)
    except OSError:
        return (path,)
    # permissions are included: chmod and chown can make a key usable
    access = found.st_mode, found.st_uid, found.st_gid
    return (path, found.st_mtime_ns, found.st_size, found.st_ino, *access)
