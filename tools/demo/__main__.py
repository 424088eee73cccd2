"""Command ``python -m tools.demo``: sends mail through a private Postfix and prints the results.

The exit status is 0 only if every scene gave the expected result. The command needs root for
Postfix, and the packages that ``make demo`` installs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import get_args

from tests.testbed import postfix
from tests.testbed.oracles import OracleError
from tests.testbed.postfix import PostfixError
from tests.testbed.process import ProcessDied
from tests.testbed.swaks import SwaksError
from tests.testbed.waiting import WaitError
from tools.demo import report
from tools.demo.ground import Ground, GroundError, Sabotage
from tools.demo.record import Record
from tools.demo.scene import Scene
from tools.demo.scenes import SCENES
from tools.steps import Steps, is_colourful

FAILURES = (
    GroundError,
    OracleError,
    PostfixError,
    ProcessDied,
    SwaksError,
    WaitError,
    OSError,
    subprocess.SubprocessError,
)
"""Errors that may occur while a scene runs; any other exception is a bug in the demonstration."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running for mail of your own")
    parser.add_argument(
        "--sabotage",
        choices=get_args(Sabotage),
        help="break one part on purpose, to see the demonstration fail",
    )
    options = parser.parse_args(arguments)
    if reason := postfix.missing():
        print(f"make demo: {reason}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    steps = Steps(sys.stdout)
    ground = Ground(steps, options.sabotage)
    status = 1
    was_played = False
    try:
        played = _run(ground, steps)
        status = 0 if all(record.ok for _, record in played) else 1
        was_played = True
        if options.keep:
            _wait_for_the_end(ground, played)
    except FAILURES as error:
        print(f"\nmake demo: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopping", file=sys.stderr)
        status = status if was_played else INTERRUPTED
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a signal must not interrupt the cleanup
        ground.stop()
        if status == 1:
            print(f"Logs, queue and messages are kept in {ground.directory}", file=sys.stderr)
        else:
            shutil.rmtree(ground.directory)
    return status


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(ground: Ground, steps: Steps) -> list[tuple[Scene, Record]]:
    start = time.monotonic()
    ground.start()
    played = [(scene, _play(scene, ground, steps)) for scene in SCENES]
    width = shutil.get_terminal_size((100, 24)).columns
    colour = is_colourful(sys.stdout)
    print(f"\n{report.table(played, width, colour=colour)}\n")
    if told := report.problems(played):
        print(f"{told}\n")
    print(report.verdict(played, time.monotonic() - start))
    return played


def _play(scene: Scene, ground: Ground, steps: Steps) -> Record:
    record = Record()
    with steps.step(f"scene {scene.number}") as step:
        try:
            scene.play(ground, record)
        except FAILURES as error:
            record.expect("the scene", "completed", error)
        step.outcome = scene.title if record.ok else f"NOT as expected: {scene.title}"
    return record


def _wait_for_the_end(ground: Ground, played: Sequence[tuple[Scene, Record]]) -> None:
    addresses = [
        ("mail from outside", ground.postfix.address("mx")),
        ("mail from our users", ground.postfix.address("submission")),
        ("milter, policy server", f"{ground.milters.postfix}, {ground.policyd.postfix}"),
        ("accounts: maps, logins", f"{ground.maps.listen}, {ground.maps.logins}"),
        ("DNS", ground.dns.address),
        ("configuration, logs", str(ground.directory)),
        ("delivered mail", str(ground.directory / "arrived")),
    ]
    print(f"\n{report.by_hand(played, addresses)}")
    print(f"\nStop it with Ctrl-C or kill {os.getpid()}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
