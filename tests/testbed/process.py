"""Program under test, with its output in a log file."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

from tests.testbed.waiting import DEADLINE, PAUSE, wait_until

T = TypeVar("T")

LOG_TAIL = 15
"""Number of log lines in an error message."""

STOP_GRACE = 20.0
"""Seconds that a program has to stop before it is killed: longer than the drain of a daemon in a
test."""


class ProcessDied(Exception):  # noqa: N818 (it says what happened)
    """The program ended unexpectedly; the message has the end of its log."""


def tail(log: Path, lines: int = LOG_TAIL) -> str:
    """Return the last lines of a log file, indented, or a note that it is empty."""
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"    (no log: {error})"
    last = text.splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) or f"    ({log} is empty)"


class Process:
    """A running program and its children, in their own session.

    Ctrl-C in the terminal does not reach it; its owner must stop it. Standard output and standard
    error are appended to `log`.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.log = log
        self._session_ended = False
        started = False
        try:
            with log.open("ab") as output, _interrupts_wait():
                self._popen = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **env} if env else None,
                    cwd=cwd,
                    start_new_session=True,
                )
                started = True
                atexit.register(self.kill)  # it must not outlive us, even if nobody stops it
        except KeyboardInterrupt:
            if started:
                self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id, which is also its process group."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Return whether it is still running; if not, it and its children are reaped."""
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """As `subprocess.Popen.returncode`: None while it runs, minus the signal that ended it."""
        code = self._popen.poll()
        if code is not None and not self._session_ended:
            # only now: later, another session may have the same number
            self._session_ended = True
            self._kill_session()
            atexit.unregister(self.kill)
        return code

    def check_running(self) -> None:
        """Raise `ProcessDied` with the end of the log if it has ended."""
        if (code := self.exit_code) is not None:
            raise ProcessDied(
                f"{' '.join(self.argv)} ended with {code}; the end of {self.log}:\n{tail(self.log)}"
            )

    def wait_until(self, probe: Callable[[], T | None], what: str) -> T:
        """Call `tests.testbed.waiting.wait_until`; raises `ProcessDied` if the program ends."""
        return wait_until(probe, what, check=self.check_running)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, not to its children."""
        if self.running:
            os.kill(self.pid, number)

    def wait(self, deadline: float = DEADLINE) -> int:
        """Wait for its end and return the exit code; raises `subprocess.TimeoutExpired`."""
        try:
            return self._popen.wait(deadline)
        finally:
            _ = self.exit_code

    def stop(self, grace: float = STOP_GRACE) -> int:
        """Stop it with SIGTERM, or SIGKILL after `grace` seconds; return the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(grace)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill it and its children with SIGKILL, like a crash or the out-of-memory killer."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)  # first, so that it starts no other child
        return self.wait()

    def _kill_session(self) -> None:
        # workers may have their own process groups, but stay in the session
        while members := _session_members(self.pid):
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(PAUSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Delay Ctrl-C during the start of a program, which it would leave behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for received in came:
            signal.raise_signal(received)


def _session_members(session: int) -> list[int]:
    """Return the running processes of a session (proc(5): field 3 is the state, 6 the session)."""
    members = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            members.append(int(entry.parent.name))
    return members
