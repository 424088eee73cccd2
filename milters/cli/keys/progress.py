"""How far a command is, on standard error, for who waits at a terminal."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 79
"""Columns of the line at most: a terminal of 80 must not wrap it."""
INTERVAL = 0.5
"""Seconds between two looks at the clock."""
QUIET = 0.5
"""Seconds in which nothing is shown: most commands are done by then."""
LINE_INTERVAL = 10.0
"""Seconds between two lines where there is no terminal, as in the log of a cron job."""


class Progress:
    """A line that counts up, is overwritten in place, and is gone at the end.

    Where `stream` is no terminal, a line every `LINE_INTERVAL` seconds says the same.
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
        """Count one more that is done."""
        self._done += 1

    def text(self, seconds: float) -> str:
        """Return the line, after so many seconds."""
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
            pass  # nobody looks
