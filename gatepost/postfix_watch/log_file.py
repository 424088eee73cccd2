"""File of a log, followed over its rotations.

A position is kept in a second file, so that a restart neither misses lines nor tells them twice.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gatepost.postfix_watch.log_line import MAX_LINE, LogLine, parse_line
from gatepost.postfix_watch.log_place import PlaceFile

CATCH_UP: Final = 16 << 20
"""Octets that are read at most after a time without this reader; older ones are passed over."""
CONTEXT: Final = 1 << 20
"""Octets before the position from which senders and logins are learned again."""
_PART: Final = 256 << 10


class LogFile:
    """The follower. `lines()` yields what is new; the caller waits between two calls."""

    def __init__(
        self, path: Path, place: PlaceFile, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._place = place
        self._clock = clock
        self._descriptor = -1
        self._inode = 0
        self._offset = 0
        self._rest = b""
        self._is_cut = False
        self._is_left = False
        self._is_first = True

    def lines(self) -> Iterator[tuple[LogLine, bool]]:
        """Yield the lines that have come, and whether they are news; raises `OSError`.

        The first call begins with lines from before.
        """
        if self._descriptor < 0:
            is_first = self._is_first
            self._open()
            if is_first:
                yield from ((line, False) for line in self._context())
        while True:
            octets = os.pread(self._descriptor, _PART, self._offset)
            if octets:
                self._offset += len(octets)
                yield from ((line, True) for line in self._split(octets))
            elif not self._renewed():
                return

    def save(self) -> None:
        """Keep the position of the next line; raises `OSError`."""
        if self._descriptor >= 0:
            self._place.write(self._inode, self._offset - len(self._rest))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        """Open the file at the saved position, or at its end for the first time."""
        self.close()
        # a fifo would wait for a writer
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        there = os.fstat(descriptor)
        if not stat.S_ISREG(there.st_mode):
            os.close(descriptor)
            raise OSError(22, "it is not a file")
        self._descriptor, self._inode = descriptor, there.st_ino
        self._rest, self._is_cut = b"", False
        offset = 0
        if self._is_first:
            saved = self._place.read()
            offset = there.st_size
            if saved is not None:
                is_same = saved.file == there.st_ino and saved.offset <= there.st_size
                offset = saved.offset if is_same else 0
            self._is_first = False
        if there.st_size - offset > CATCH_UP:
            offset = there.st_size - CATCH_UP
            self._is_cut = True
        self._offset = offset

    def _context(self) -> Iterator[LogLine]:
        begin = max(0, self._offset - CONTEXT)
        octets = os.pread(self._descriptor, self._offset - begin, begin)
        # the first line is cut, unless it is that of the file
        for text in octets.split(b"\n")[1 if begin else 0 :]:
            if (line := parse_line(text, self._clock())) is not None:
                yield line

    def _renewed(self) -> bool:
        """Return whether another file has taken the place of this one, or its octets are gone."""
        if os.fstat(self._descriptor).st_size < self._offset:
            self._offset, self._rest, self._is_cut = 0, b"", False
            return True
        with suppress(FileNotFoundError):  # between two files
            there = self._path.stat()
            # as long as the new file is empty, Postfix may write to the old one
            if there.st_ino != self._inode and there.st_size:
                # the old one is read once more, because a line may just have come
                self._is_left = not self._is_left
                if not self._is_left:
                    self._open()
                return True
        return False

    def _split(self, octets: bytes) -> Iterator[LogLine]:
        *texts, self._rest = (self._rest + octets).split(b"\n")
        for text in texts:
            if self._is_cut:
                self._is_cut = False
            elif len(text) <= MAX_LINE and (line := parse_line(text, self._clock())) is not None:
                yield line
        if len(self._rest) > MAX_LINE:
            # what is left of this line is passed over
            self._rest, self._is_cut = b"", True
