"""Content of one message, kept until it is scanned for viruses.

A small message is in memory, and counts as such. The rest of a larger one goes to a file without a
name, so that a message that waits for DNS or for clamd does not take memory from the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gatepost.metrics import Gauge
from gatepost.spool import Spool
from milters.memory import Holding, Memory
from milters.virus_settings import VirusScanSettings
from msgauth.message import HeaderField

IN_MEMORY: Final = 64 * 1024
"""Octets of a message in memory: most mail is smaller."""

SPOOLED = Gauge(
    "gatepost_milters_spooled_octets",
    "Octets of messages in progress that are in files until they are scanned for viruses",
    across="sum",
)


class MessageContent:
    """The header as it came, and the body, as far as `scan_size` allows.

    `problem` says why there is no content, or is empty: the file could not be written.
    """

    __slots__ = ("_held", "_limit", "_spool", "is_partial", "problem")

    def __init__(
        self, settings: VirusScanSettings, fields: Iterable[HeaderField], memory: Memory
    ) -> None:
        self._limit = settings.scan_size
        self._spool = Spool(settings.spool_folder, IN_MEMORY, SPOOLED.add)
        self._held = Holding(memory)
        self.problem = ""
        self.is_partial = False
        """True if the end of the message is missing."""
        self.write(b"".join(map(bytes, fields)) + b"\r\n")

    @property
    def size(self) -> int:
        """Return the octets that are kept."""
        return self._spool.size

    def write(self, data: bytes) -> None:
        """Add the next part."""
        if self.problem:
            return
        room = self._limit - self._spool.size
        if len(data) > room:
            self.is_partial = True
            data = data[:room]
        if not self._held.grow(min(len(data), IN_MEMORY)):
            self._spool.spill()
        try:
            self._spool.write(data)
        except OSError as error:
            self.close()
            self.problem = error.strerror or str(error)
        self._held.set(self._spool.in_memory)

    def parts(self) -> Iterator[bytes]:
        """Yield the octets; raises `OSError`."""
        return self._spool.read(0, self._spool.size)

    def close(self) -> None:
        """Forget the octets."""
        self._spool.close()
        self._held.set(0)

    def __del__(self) -> None:
        self.close()
