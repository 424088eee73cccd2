"""Container of a pod that podman plays: run programs in it, read its log, kill it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.testbed.podman import attempt, inspect, podman
from tests.testbed.waiting import wait_until

READY_DEADLINE = 50.0
"""Seconds from the start of a container until its probe passes, on a machine under load."""

PROBE_PAUSE = 0.2
"""Seconds between two probes; each one starts a process in the container."""


class Container:
    """A container by its name in the pod, such as `milters`; `probe` is its readiness probe."""

    def __init__(self, short: str, name: str, probe: list[str]) -> None:
        self.short = short
        self.name = name
        self.probe = probe

    @property
    def state(self) -> dict[str, Any]:
        """Return the output of `podman inspect` for the container."""
        return inspect("container", self.name)

    @property
    def pid(self) -> int:
        """The process id on this machine of the container's process 1; 0 if it is down."""
        return int(self.state["State"]["Pid"])

    @property
    def restarts(self) -> int:
        """How many times podman started it again."""
        return int(self.state["RestartCount"])

    def execute(self, *argv: str, stdin: str = "") -> str:
        """Run a program in it and return its output; raises `PodmanError` if it fails."""
        return podman("exec", *(["--interactive"] if stdin else []), self.name, *argv, stdin=stdin)

    def attempt(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it that may fail."""
        return attempt("exec", self.name, *argv)

    def is_ready(self) -> bool:
        """Return whether the readiness probe of the manifest passes now."""
        return self.attempt(*self.probe).returncode == 0

    def wait_ready(self) -> None:
        """Wait until the readiness probe passes; the error has the end of the log."""
        try:
            wait_until(
                self.is_ready,
                f"{self.name} to be ready",
                deadline=READY_DEADLINE,
                pause=PROBE_PAUSE,
            )
        except Exception as error:
            error.add_note("\n".join(["the end of its log:", *self.log().splitlines()[-20:]]))
            raise

    def log(self) -> str:
        """Return its standard output and standard error, across restarts."""
        done = attempt("logs", self.name)
        return done.stdout + done.stderr

    def log_entries(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the JSON lines of its log that have these values."""
        entries = []
        for line in self.log().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and wanted.items() <= entry.items():
                    entries.append(entry)
        return entries

    def wait_for_log(self, text: str, *, count: int = 1) -> str:
        """Wait until the log has the text `count` times; return the log."""

        def probe() -> str:
            log = self.log()
            return log if log.count(text) >= count else ""

        return wait_until(probe, f"{text!r} in the log of {self.name}", pause=PROBE_PAUSE)

    def kill(self) -> None:
        """Kill its process 1 with SIGKILL, as the out-of-memory killer does; podman restarts it.

        After `podman kill`, podman would not restart it.
        """
        os.kill(self.pid, signal.SIGKILL)

    def kill_and_wait_ready(self) -> None:
        """Kill it, and wait for the restart and until the probe passes again."""
        before, pid = self.restarts, self.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: self.restarts > before and self.pid not in (0, pid),
            f"{self.name} to be started again",
            pause=PROBE_PAUSE,
        )
        self.wait_ready()

    def processes(self) -> list[int]:
        """Return the ids, on this machine, of all its processes."""
        own = os.stat(f"/proc/{self.pid}/ns/pid").st_ino
        found = []
        for entry in Path("/proc").glob("[0-9]*/ns/pid"):
            with contextlib.suppress(OSError):
                if entry.stat().st_ino == own:
                    found.append(int(entry.parent.parent.name))
        return found

    def memory(self) -> int:
        """Return its memory in octets: the sum of its processes' proportional set sizes."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total


def process_status(container: Container, field: str) -> list[str]:
    """Return the words of a field in /proc/PID/status (proc(5)), such as `CapBnd`, of process 1."""
    for line in Path(f"/proc/{container.pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.split()
    raise KeyError(field)
