"""Place in a log up to which it was read, in a file that is also the sign of life of the reader."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

ALIVE: Final = 120.0
"""Seconds within which a reader that works has touched its file."""


class LogPlace(NamedTuple):
    """The file (its inode), and the octets of it that were read; or a time of the journal."""

    file: int
    offset: int


class PlaceFile:
    """The file; without a path, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written: LogPlace | None = None

    def read(self) -> LogPlace | None:
        """Return the place; None if it is not known."""
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as stream:
                found = json.loads(stream.read(1000))
            place = LogPlace(int(found["file"]), int(found["offset"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return place if place.offset >= 0 else None

    def write(self, file: int, offset: int) -> None:
        """Keep a place; raises `OSError`."""
        place = LogPlace(file, offset)
        if self._path is None or place == self._written:
            return
        # a place that is lost in a crash of the host costs a few records
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps(place._asdict()))
        new.replace(self._path)
        self._written = place

    def beat(self) -> None:
        """Say that the reader lives; a file that is missing is made."""
        if self._path is not None:
            with suppress(OSError):
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
                os.utime(self._path)


def is_alive(path: Path) -> bool:
    """Return whether a reader has touched this file lately."""
    try:
        return abs(time.time() - path.stat().st_mtime) < ALIVE
    except OSError:
        return False
