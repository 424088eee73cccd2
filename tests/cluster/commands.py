"""Commands of kubectl and helm: their words, and the two ways to run them."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

CHART = Path(__file__).resolve().parents[2] / "k8s" / "chart"
COMMAND_SECONDS = 1800
"""Seconds for one command; each has a shorter limit of its own where it waits."""
LOOK = 2.0
"""Seconds between two looks at a state."""


class CommandError(Exception):
    """A command failed, or a state was not reached; the message says which."""


class Commands(Protocol):
    """Runs commands; the dry run only prints them."""

    is_dry: bool

    def run(self, argv: list[str], stdin: str = "") -> str:
        """Run a command and return its output; raises `CommandError`."""

    def attempt(self, argv: list[str]) -> str | None:
        """As `run`, but return None if it fails."""

    def until(self, what: str, reached: Callable[[], bool], seconds: float) -> None:
        """Wait for a state; raises `CommandError` after `seconds`."""

    def tell(self, text: str) -> None:
        """Print a line for the reader."""


class RealCommands:
    """Runs commands."""

    is_dry = False

    def run(self, argv: list[str], stdin: str = "") -> str:
        """Run it."""
        try:
            done = subprocess.run(
                argv, input=stdin, capture_output=True, text=True, timeout=COMMAND_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CommandError(f"{shlex.join(argv)}: {error}") from None
        if done.returncode != 0:
            raise CommandError(f"{shlex.join(argv)}: {done.stderr.strip()}{done.stdout[-2000:]}")
        return done.stdout

    def attempt(self, argv: list[str]) -> str | None:
        """Run it, and return None if it fails."""
        try:
            return self.run(argv)
        except CommandError:
            return None

    def until(self, what: str, reached: Callable[[], bool], seconds: float) -> None:
        """Look again and again."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() >= end:
                raise CommandError(f"after {seconds:g} s: {what}")
            time.sleep(LOOK)

    def tell(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)


class PrintedCommands:
    """The dry run: prints commands, and takes every state for reached."""

    is_dry = True

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self._write = write
        self.printed: list[list[str]] = []

    def run(self, argv: list[str], stdin: str = "") -> str:
        """Print it."""
        self.printed.append(argv)
        lines = stdin.count("\n")
        self._write(f"  {shlex.join(argv)}{f'  < {lines} lines' if stdin else ''}")
        return ""

    def attempt(self, argv: list[str]) -> str | None:
        """Print it."""
        return self.run(argv)

    def until(self, what: str, reached: Callable[[], bool], seconds: float) -> None:  # noqa: ARG002
        """Print what would be waited for."""
        self._write(f"  (wait at most {seconds:g} s for: {what})")

    def tell(self, text: str) -> None:
        """Print it."""
        self._write(text)


def kubectl(kubeconfig: Path, namespace: str, *words: str) -> list[str]:
    """Return a command of kubectl; an empty namespace is for objects of the whole cluster."""
    place = [f"--namespace={namespace}"] if namespace else []
    return ["kubectl", f"--kubeconfig={kubeconfig}", *place, *words]


def helm(kubeconfig: Path, namespace: str, *words: str) -> list[str]:
    """Return a command of helm."""
    return ["helm", f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", *words]
