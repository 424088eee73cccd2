"""Runner of podman commands, with their output or error."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

TIMEOUT = 120.0
"""Maximum seconds for a command other than a build; a busy machine starts a pod slowly."""

WITHOUT_CONTAINERS = "GATEPOST_WITHOUT_CONTAINERS"
"""The environment variable that allows tests on a machine that cannot run containers."""


class PodmanError(Exception):
    """podman failed or is not installed; the message has the command and podman's error."""


def podman(*arguments: str, stdin: str = "", timeout: float | None = TIMEOUT) -> str:
    """Run podman and return its output; raises `PodmanError`."""
    done = attempt(*arguments, stdin=stdin, timeout=timeout)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        # without podman's log lines, such as the one that systemd is missing for health checks
        said = "\n".join(line for line in lines if not line.startswith("time=")) or lines
        raise PodmanError(f"podman {' '.join(arguments)} ended with {done.returncode}: {said}")
    return done.stdout


def attempt(
    *arguments: str, stdin: str = "", timeout: float | None = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run podman and return its result; raises `PodmanError` if it is missing or hangs."""
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
            # Ctrl-C must not interrupt podman in the middle of its work
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise PodmanError(f"podman {' '.join(arguments)}: no end in {timeout:g} s") from error


def inspect(kind: str, name: str) -> dict[str, Any]:
    """Ask podman about a container, pod, volume, image or network; raises `PodmanError`."""
    found = json.loads(podman(kind, "inspect", name))
    # a pod is a single object and everything else a list; newer versions always return a list
    first: dict[str, Any] = found[0] if isinstance(found, list) else found
    return first


def exists(kind: str, name: str) -> bool:
    """Return whether podman has a container, pod, volume, image or network with this name."""
    return attempt(kind, "exists", name).returncode == 0
