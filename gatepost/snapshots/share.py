"""Shared memory with the snapshot in use, for all processes of a daemon.

It is made before the workers are forked. One process writes, all read. It does not need the disk,
so a full disk does not stop signing. A reader detects a writer at work by the number, which is odd
meanwhile, and by the checksum of the snapshot.
"""

from __future__ import annotations

import os
import struct

_HEAD = struct.Struct("=QQ")
"""Head of the memory: twice the number of changes, odd during a change; and the snapshot's
octets."""


class SharedMemory:
    """The latest snapshot of one name, or none."""

    def __init__(self, name: str) -> None:
        self._memory = os.memfd_create(f"gatepost-{name}", os.MFD_CLOEXEC)
        os.pwrite(self._memory, _HEAD.pack(0, 0), 0)

    @property
    def number(self) -> int:
        """Number that grows with each change; 0 before the first."""
        return self._head()[0] // 2

    def read(self) -> tuple[int, bytes] | None:
        """Return the snapshot with its number; None before the first, and during a write."""
        number, size = self._head()
        if number == 0 or number % 2:
            return None
        data = bytearray()
        while len(data) < size:
            part = os.pread(self._memory, size - len(data), _HEAD.size + len(data))
            if not part:
                return None
            data += part
        return None if self._head()[0] != number else (number // 2, bytes(data))

    def write(self, data: bytes) -> None:
        """Replace the snapshot; raises `OSError` if there is no memory for it."""
        # a writer that was killed during a change leaves an odd number
        number = self._head()[0] // 2 * 2
        os.pwrite(self._memory, _HEAD.pack(number + 1, 0), 0)
        os.ftruncate(self._memory, _HEAD.size)
        rest, at = memoryview(data), _HEAD.size
        while rest:
            written = os.pwrite(self._memory, rest, at)
            rest, at = rest[written:], at + written
        os.pwrite(self._memory, _HEAD.pack(number + 2, len(data)), 0)

    def _head(self) -> tuple[int, int]:
        number, size = _HEAD.unpack(os.pread(self._memory, _HEAD.size, 0))
        return number, size

    def close(self) -> None:
        """Release the memory."""
        os.close(self._memory)
