"""A process that has run out of file descriptors, for as long as a test wants it."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

LOOKS = 20
"""Equal looks in a row after which nothing is about to change."""
PAUSE = 0.02
"""Seconds between two looks."""


@contextlib.contextmanager
def no_more_files(pid: int | None = None) -> Iterator[None]:
    """Let a process, or this one, open no further file inside the block."""
    pid = os.getpid() if pid is None else pid
    used = _settled(pid)
    if pid == os.getpid():
        used = {fd for fd in used if Path(f"/proc/self/fd/{fd}").exists()}  # without the listing's
    lowest = next(fd for fd in range(len(used) + 1) if fd not in used)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def _settled(pid: int) -> set[int]:
    """Return the descriptors of a process once none of them is about to be closed.

    The connection of a probe may be: it would leave room below the limit.
    """
    looks: list[set[int]] = []
    while len(looks) < LOOKS or any(look != looks[-1] for look in looks[-LOOKS:]):
        looks.append({int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()})
        time.sleep(PAUSE)
    return looks[-1]
