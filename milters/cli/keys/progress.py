"""Progress display of a command on standard error."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 79
"""Maximum columns of the line: a terminal of 80 columns must not wrap it."""
INTERVAL = 0.5
"""Seconds between two updates."""
QUIET = 0.5
"""Seconds before anything is shown: most commands are done by then."""
LINE_INTERVAL = 10.0
"""Seconds between two lines without a terminal, as in the log of a cron job."""


class Progress:
    """A counting line that is overwritten in place and removed at the end.

    If `stream` is not a terminal, it prints a line every `LINE_INTERVAL` seconds instead.
    """

    def __init__(self, things: str, count: int, stream: TextIO | None = None) -> None:
        self._things = things
        self._count = count
        self._stream = stream or sys.stderr
        self._done = 0
        self._begun = time.monotonic()
        self._told_at = self._begun
        self._is_shown = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show_on, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._is_shown:
            self._write("\r" + " " * WIDTH + "\r")

    def advance(self) -> None:
        """Count one more as done."""
        self._done += 1

    def text(self, seconds: float) -> str:
        """Return the line after `seconds`."""
        line = f"{self._done} of {self._count} {self._things} looked up after {seconds:.0f} s"
        return line[:WIDTH]

    def _show_on(self) -> None:
        is_terminal = self._stream.isatty()
        wait = QUIET
        while not self._ended.wait(wait):
            wait = INTERVAL
            now = time.monotonic()
            line = self.text(now - self._begun)
            if is_terminal:
                self._is_shown = True
                self._write(f"\r{line:{WIDTH}}")
            elif now - self._told_at >= LINE_INTERVAL:
                self._told_at = now
                self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass  # nobody is watching
