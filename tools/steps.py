"""Steps that take a while, shown as they go: a line for each, with what came of it and its time.

On a terminal a step that reports progress has a bar, drawn again in place; elsewhere only whole
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
TEXT_WIDTH = 90
LABEL_WIDTH, OUTCOME_WIDTH = 24, 41
"""Columns for the name of a step and for what came of it: a whole line has 80."""

REDRAW_INTERVAL = 0.1
"""Seconds between two drawings of a bar: a terminal over a slow line keeps up with it."""

_GREEN, _RED, _DIM, _PLAIN = "\033[32m", "\033[31m", "\033[2m", "\033[0m"
_COLOURS = {"ok": _GREEN, "!!": _RED, "--": _DIM}
_CLEAR_LINE = "\r\033[K"


def is_colourful(stream: TextIO) -> bool:
    """Return whether to colour: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


class Step:
    """A step under way."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self._drawn_at = 0.0
        self.outcome = ""
        """What came of it, in a few words; shown when it is done."""

    def progress(self, fraction: float, detail: str = "") -> None:
        """Draw how far it is, from 0 to 1, and what is happening."""
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
        """Write a text between the steps, folded."""
        lines = textwrap.wrap(text, TEXT_WIDTH, initial_indent="  ", subsequent_indent="    ")
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()

    @contextmanager
    def step(self, label: str) -> Iterator[Step]:
        """Announce a step, and say how it ended and how long it took when the block is left."""
        step = Step(self._stream, label)
        start = time.monotonic()
        if self._stream.isatty():
            self._stream.write(f"  ·  {label} …")
            self._stream.flush()
        try:
            yield step
        except KeyboardInterrupt:  # nothing failed: somebody had seen enough
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
