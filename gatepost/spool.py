"""Octets of one message while it is in progress: in memory, then in a file without a name.

The file is gone when the process ends, whatever the reason: the queue of Postfix has the message.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

CHUNK: Final = 64 * 1024
"""Octets that are read at once."""


class Spool:
    """Octets that are written once and may be read several times at once.

    Up to `memory_size` octets are in memory, more of them in a file below `folder`. `count` gets
    the octets that are added to files, or taken from them (negative).
    """

    def __init__(self, folder: Path, memory_size: int, count: Callable[[int], object]) -> None:
        self._folder = folder
        self._memory_size = memory_size
        self._count = count
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._written = 0
        self.size = 0

    @property
    def in_memory(self) -> int:
        """Return the octets that are in memory."""
        return len(self._memory)

    def spill(self) -> None:
        """Keep nothing more in memory: the next octets take all to the file."""
        self._memory_size = 0

    def write(self, data: bytes) -> None:
        """Add octets; raises `OSError` if the file cannot be written."""
        if self._file is None and self.size + len(data) <= self._memory_size:
            self._memory += data
        else:
            if self._file is None:
                # the name is never there, or for a moment only (O_TMPFILE)
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
                self._append(bytes(self._memory))
                self._memory.clear()
            self._append(data)
        self.size += len(data)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the octets from `start` to `end`, in parts."""
        while start < end:
            size = min(CHUNK, end - start)
            if self._file is None:
                data = bytes(self._memory[start : start + size])
            else:
                # all readers share the position of the file, and none waits in between
                self._file.seek(start)
                data = self._file.read(size)
            if not data:
                raise OSError("a message in progress is shorter than it was")
            yield data
            start += len(data)

    def close(self) -> None:
        """Forget everything."""
        self._memory.clear()
        if self._file is not None:
            self._count(-self._written)
            self._file.close()
            self._file = None
        self.size = self._written = 0

    def _append(self, data: bytes) -> None:
        assert self._file is not None  # noqa: S101
        left = memoryview(data)
        while left:
            written = self._file.write(left)
            self._written += written
            self._count(written)
            left = left[written:]
