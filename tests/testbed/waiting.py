"""Waiting for a state, never for a while.

A probe is asked again and again until what it returns is true; a deadline only bounds how long a
broken machine can hold us up, and no result ever depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 100.0
"""Seconds until a state that does not come is an error: long enough for a machine under load,
shorter than the time-out of a test, so that the test says what it was waiting for."""

PAUSE = 0.01
"""Seconds between two looks."""


class WaitError(Exception):
    """The state did not come; the message says which, and what was seen instead."""


def wait_until(
    probe: Callable[[], T | None],
    what: str,
    *,
    deadline: float = DEADLINE,
    pause: float = PAUSE,
    check: Callable[[], None] = lambda: None,
) -> T:
    """Return the first true value of `probe`; raise `WaitError` naming `what` after `deadline`.

    `pause` seconds are between two looks. `check` is called before each and may raise: a process
    that has died ends the wait at once.
    """
    end = time.monotonic() + deadline
    while True:
        check()
        if value := probe():
            return value
        if time.monotonic() > end:
            raise WaitError(f"waited {deadline:g} s for {what}; last seen: {value!r}")
        time.sleep(pause)
