"""Progress of long steps: a line for each step, with its result and duration.

On a terminal, a step that reports progress has a bar that is redrawn in place; elsewhere only whole
lines are written, so that a log stays readable.
"""

from __future__ import annotations

import os
import shutil
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

BAR_WIDTH = 24
TEXT_WIDTH = 80
LABEL_WIDTH, OUTCOME_WIDTH = 24, 41
"""Columns for the name of a step and for its result; a whole line has 80."""

REDRAW_INTERVAL = 0.1
"""Seconds between two drawings of a bar, slow enough for a terminal over a slow line."""

_GREEN, _RED, _DIM, _PLAIN = "\033[32m", "\033[31m", "\033[2m", "\033[0m"
_COLOURS = {"ok": _GREEN, "!!": _RED, "--": _DIM}
_CLEAR_LINE = "\r\033[K"


def is_colourful(stream: TextIO) -> bool:
    """Return whether to use colour: on a terminal without NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


class Step:
    """A running step."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self._drawn_at = 0.0
        self.outcome = ""
        """Its result in a few words, shown at its end."""

    def progress(self, fraction: float, detail: str = "") -> None:
        """Draw the progress, from 0 to 1, with a detail."""
        now = time.monotonic()
        if not self._stream.isatty() or now - self._drawn_at < REDRAW_INTERVAL:
            return
        self._drawn_at = now
        fraction = min(max(fraction, 0.0), 1.0)
        bar = ("█" * round(fraction * BAR_WIDTH)).ljust(BAR_WIDTH, "░")
        line = f"  ·  {self._label:<{LABEL_WIDTH}} {bar} {fraction:4.0%} {detail}"
        columns = shutil.get_terminal_size().columns
        self._stream.write(_CLEAR_LINE + line[: columns - 1])
        self._stream.flush()


class Steps:
    """Writes the steps of one run to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        """Write a text between the steps, with each of its lines folded."""
        for line in text.splitlines():
            folded = textwrap.wrap(
                line,
                TEXT_WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            self._stream.write("\n".join(folded) + "\n")
        self._stream.flush()

    @contextmanager
    def step(self, label: str) -> Iterator[Step]:
        """Announce a step; at the end of the block, print its result and duration."""
        step = Step(self._stream, label)
        start = time.monotonic()
        if self._stream.isatty():
            self._stream.write(f"  ·  {label} …")
            self._stream.flush()
        try:
            yield step
        except KeyboardInterrupt:  # stopped by the user, not a failure
            self._finish(label, "interrupted", time.monotonic() - start, mark="--")
            raise
        except BaseException:
            self._finish(label, "failed", time.monotonic() - start, mark="!!")
            raise
        self._finish(label, step.outcome, time.monotonic() - start, mark="ok")

    def _finish(self, label: str, outcome: str, seconds: float, *, mark: str) -> None:
        text = f"{label:<{LABEL_WIDTH}} {outcome:<{OUTCOME_WIDTH}}"
        took = f"{seconds:6.1f} s"
        if is_colourful(self._stream):
            mark = f"{_COLOURS[mark]}{mark}{_PLAIN}"
            took = f"{_DIM}{took}{_PLAIN}"
        start = _CLEAR_LINE if self._stream.isatty() else ""
        self._stream.write(f"{start}  {mark} {text} {took}\n")
        self._stream.flush()
