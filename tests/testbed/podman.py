"""podman as a user calls it: one command, what it printed, and what it said when it failed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

TIMEOUT = 120.0
"""Seconds for a command that builds nothing; a busy machine needs some for the start of a pod."""

WITHOUT_CONTAINERS = "GATEPOST_WITHOUT_CONTAINERS"
"""The environment variable with which a machine says that it runs no containers, and means it."""


class PodmanError(Exception):
    """podman refused or is not here; the message is the command and what podman said."""


def podman(*arguments: str, stdin: str = "", timeout: float | None = TIMEOUT) -> str:
    """Run podman and return what it printed; raises `PodmanError`."""
    done = attempt(*arguments, stdin=stdin, timeout=timeout)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        # without what podman logs beside it, as that there is no systemd for health checks
        said = "\n".join(line for line in lines if not line.startswith("time=")) or lines
        raise PodmanError(f"podman {' '.join(arguments)} ended with {done.returncode}: {said}")
    return done.stdout


def attempt(
    *arguments: str, stdin: str = "", timeout: float | None = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run podman and return how it ended; raises `PodmanError` when it is not here or hangs."""
    program = shutil.which("podman")
    if program is None:
        raise PodmanError("podman is not in PATH")
    try:
        return subprocess.run(
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            # Ctrl-C is for us: what podman has begun, it finishes
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise PodmanError(f"podman {' '.join(arguments)}: no end in {timeout:g} s") from error


def inspect(kind: str, name: str) -> dict[str, Any]:
    """Ask podman about a container, pod, volume, image or network; raises `PodmanError`."""
    found = json.loads(podman(kind, "inspect", name))
    # a pod is shown by itself, everything else in a list; newer versions have a list for all
    first: dict[str, Any] = found[0] if isinstance(found, list) else found
    return first


def exists(kind: str, name: str) -> bool:
    """Return whether podman has a container, pod, volume, image or network of that name."""
    return attempt(kind, "exists", name).returncode == 0
