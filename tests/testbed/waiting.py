"""Waiting for a state instead of a length of time.

A probe is repeated until it returns a true value. The deadline only bounds the wait on a broken
machine; no result depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 100.0
"""Seconds until a missing state is an error: long enough for a machine under load, shorter than the
timeout of a test, so that the test can report the missing state."""

PAUSE = 0.01
"""Seconds between two probes."""


class WaitError(Exception):
    """The state did not come; the message names it and the last value."""


def wait_until(
    probe: Callable[[], T | None],
    what: str,
    *,
    deadline: float = DEADLINE,
    pause: float = PAUSE,
    check: Callable[[], None] = lambda: None,
) -> T:
    """Return the first true value of `probe`; raise `WaitError` naming `what` after `deadline`.

    `pause` is the time between two probes in seconds. `check` runs before each probe and may raise,
    for example if a process has died.
    """
    end = time.monotonic() + deadline
    while True:
        check()
        if value := probe():
            return value
        if time.monotonic() > end:
            raise WaitError(f"waited {deadline:g} s for {what}; last seen: {value!r}")
        time.sleep(pause)
