"""Log of Postfix in the journal of systemd, read by journalctl(1).

Only what the units of Postfix have written counts: any user of the host can write lines that look
like Postfix's, but not in the name of a unit.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from gatepost.postfix_watch.log_line import MAX_LINE, LogLine, program_of
from gatepost.postfix_watch.log_place import PlaceFile

UNITS: Final = "postfix*"
"""``postfix@-.service`` in Debian 12, ``postfix.service`` in Debian 13."""
EARLIER: Final = 20_000
"""Lines of the time before that are read again: those that were missed, and senders and logins."""
MAX_ENTRY: Final = 8 * MAX_LINE
"""Octets of an entry, in which a character may take six."""
PATH: Final = "/usr/bin:/bin"
_PART: Final = 256 << 10


class SystemdJournal:
    """The follower, with the interface of `LogFile`."""

    def __init__(self, place: PlaceFile, clock: Callable[[], float] = time.time) -> None:
        self._place = place
        saved = place.read()
        self._known = int(clock() * 1e6) if saved is None else saved.offset
        """The time in microseconds up to which lines were told by an earlier journalctl."""
        self._last = self._known
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._is_cut = False

    def lines(self) -> Iterator[tuple[LogLine, bool]]:
        """Yield the lines that have come, and whether they are news; raises `OSError` if journalctl
        does not work.

        The first ones are from before.
        """
        process = self._process or self._start()
        assert process.stdout is not None  # noqa: S101
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while selector.select(0):
                octets = os.read(process.stdout.fileno(), _PART)
                if not octets:
                    self.close()
                    raise OSError(32, f"journalctl has ended with status {process.returncode}")
                yield from self._split(octets)

    def save(self) -> None:
        """Keep the time of the last line; raises `OSError`."""
        self._place.write(0, self._last)

    def close(self) -> None:
        """End journalctl."""
        process, self._process = self._process, None
        self._known = self._last
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _start(self) -> subprocess.Popen[bytes]:
        self._rest, self._is_cut = b"", False
        self._process = subprocess.Popen(
            [
                *("journalctl", "--follow", "--quiet", "--no-pager", f"--lines={EARLIER}"),
                *("--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER"),
                f"--unit={UNITS}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        )
        return self._process

    def _split(self, octets: bytes) -> Iterator[tuple[LogLine, bool]]:
        *texts, self._rest = (self._rest + octets).split(b"\n")
        for text in texts:
            if self._is_cut:
                self._is_cut = False
            elif len(text) <= MAX_ENTRY and (found := _read_entry(text)) is not None:
                told, line = found
                self._last = max(told, self._last)
                yield line, told > self._known
        if len(self._rest) > MAX_ENTRY:
            # what is left of this line is passed over
            self._rest, self._is_cut = b"", True


def _read_entry(text: bytes) -> tuple[int, LogLine] | None:
    """Return the time in microseconds and the line of an entry; None if it is not Postfix's."""
    try:
        found: dict[str, Any] = json.loads(text)
        tag, message = found["SYSLOG_IDENTIFIER"], found["MESSAGE"]
        told = int(found["__REALTIME_TIMESTAMP"])
        if isinstance(message, list):  # octets that are not UTF-8
            message = bytes(message).decode("utf-8", "replace")
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(tag, str) or not isinstance(message, str):
        return None
    if (program := program_of(tag)) is None:
        return None
    return told, LogLine(told / 1e6, program, message[:MAX_LINE])
