"""One thing to fuzz, and a bounded run over it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

MAX_SECONDS = 5.0
"""Seconds that one input may take: a bound on hangs and on quadratic time, no measure of speed."""


class Finding(Exception):  # noqa: N818 (it says what it is)
    """An input that broke its target; the message has all that is needed to see it again."""


@dataclass(frozen=True)
class Target:
    """Makes inputs and checks one at a time.

    `make` draws an input from a generator of chance; the same seed and number give the same input.
    `check` raises for whatever must not happen. `count` is how many inputs a full run takes.
    """

    name: str
    count: int
    make: Callable[[Random], Any]
    check: Callable[[Any], None]


def run(target: Target, seed: int, numbers: range, deadline: float = float("inf")) -> int:
    """Check the inputs with these numbers; returns how many were checked before `deadline`.

    `deadline` is a time of the monotonic clock. Raises `Finding` for the first input that breaks.
    """
    done = 0
    for number in numbers:
        start = time.monotonic()
        if start >= deadline:
            break
        made = target.make(Random(f"{seed}:{target.name}:{number}"))
        try:
            target.check(made)
        except Exception as error:
            raise Finding(_report(target, seed, number, made, repr(error))) from error
        taken = time.monotonic() - start
        if taken > MAX_SECONDS:
            raise Finding(_report(target, seed, number, made, f"took {taken:.1f} s"))
        done += 1
    return done


def _report(target: Target, seed: int, number: int, made: Any, what: str) -> str:
    shown = repr(made)
    if len(shown) > 2000:
        shown = f"{shown[:2000]}... ({len(shown)} characters)"
    return (
        f"{what}\n  again: python -m tests.fuzz {target.name} --seed {seed} --first {number} "
        f"--count 1\n  input: {shown}"
    )
