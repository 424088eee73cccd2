"""``python -m tests.fuzz [TARGET ...]``: fuzz with a seed and a time limit."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time

from tests.fuzz import accounts, autoconfig, delivery, dns, mail, milter, policy
from tests.fuzz.target import Finding, Target, run
from tests.libmilter import target as libmilter

TARGETS = {
    one.TARGET.name: one.TARGET
    for one in (milter, policy, accounts, autoconfig, delivery, mail, dns)
}
ALL = {**TARGETS, libmilter.TARGET.name: libmilter.TARGET}
"""With the one that needs libmilter, and a process of its own."""
SLICE = 500
"""Inputs that a process takes at a time."""


def _slice(work: tuple[str, int, int, int, float]) -> tuple[int, str]:
    name, seed, first, count, deadline = work
    try:
        return run(ALL[name], seed, range(first, first + count), deadline), ""
    except Finding as finding:
        return 0, str(finding)


def fuzz(target: Target, seed: int, numbers: range, seconds: float, jobs: int) -> bool:
    """Fuzz one target with `jobs` processes and print the outcome; False when something broke."""
    start = time.monotonic()
    deadline = start + seconds
    slices = [
        (target.name, seed, first, min(SLICE, numbers.stop - first), deadline)
        for first in range(numbers.start, numbers.stop, SLICE)
    ]
    done, findings = 0, []
    with multiprocessing.Pool(jobs) as pool:
        for count, finding in pool.imap_unordered(_slice, slices):
            done += count
            findings += [finding] if finding else []
    taken = time.monotonic() - start
    short = "" if done == len(numbers) else f" of {len(numbers)}"
    print(
        f"{target.name:8} {done}{short} inputs, {len(findings)} findings, {taken:.0f} s, "
        f"seed {seed}"
    )
    for finding in findings[:3]:
        print(finding, file=sys.stderr)
    return not findings


def main() -> int:
    """Read the command line and fuzz; the exit status is 1 when something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(ALL)}; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument(
        "--count", type=int, help="inputs of each target; the full count by default"
    )
    parser.add_argument("--seconds", type=float, default=1800, help="time limit of each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if unknown := set(options.targets) - set(ALL):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    fine = True
    for name in options.targets or ALL:
        target = ALL[name]
        count = target.count if options.count is None else options.count
        numbers = range(options.first, options.first + count)
        fine &= fuzz(target, options.seed, numbers, options.seconds, options.jobs)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
