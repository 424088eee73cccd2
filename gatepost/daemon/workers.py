"""A parent process with workers that share the listening sockets.

The parent opens the sockets, forks and then only supervises its workers: it replaces each one that
dies, passes on "reload" and "drain", and serves metrics and probes. They communicate over a socket
pair: commands go down, "ready" comes up, and its end tells each side that the other is gone, so
that no worker outlives its parent.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from gatepost.daemon.start_signals import release_signals
from gatepost.daemon.watch import LOOK_INTERVAL
from gatepost.errors import StartError
from gatepost.metrics import Counter, Probes, become_worker, share, worker_ended

RESTARTS = Counter("gatepost_worker_restarts_total", "Workers that died and were replaced")

FIRST_BACKOFF = 0.1
"""Seconds before a worker that died soon after its start is replaced; doubles each time."""
MAX_BACKOFF = 30.0
SOON = 10.0
"""Seconds of life after which a worker's death no longer counts as an early one."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_DRAIN = b"d"
_RELOAD = b"r"
_READY = b"1"


class Control:
    """A worker's end of the connection to its parent; `number` counts the workers from 0."""

    def __init__(self, line: socket.socket, number: int) -> None:
        self.number = number
        self._line = line

    def ready(self) -> None:
        """Tell the parent that this worker accepts mail."""
        with contextlib.suppress(
            OSError
        ):  # the parent is gone: the end of the connection means "drain"
            self._line.send(_READY)

    def listen(self, on_reload: Callable[[], object], on_drain: Callable[[], object]) -> None:
        """Follow the parent's commands in a thread; the end of the connection also means
        "drain"."""
        threading.Thread(
            target=self._obey, args=(on_reload, on_drain), name="control", daemon=True
        ).start()

    def _obey(self, on_reload: Callable[[], object], on_drain: Callable[[], object]) -> None:
        try:
            while True:
                try:
                    words = self._line.recv(64)
                except OSError:
                    words = b""
                if not words or _DRAIN in words:
                    return
                if _RELOAD in words:
                    on_reload()
        finally:
            on_drain()  # a worker that gets no more commands ends and is replaced


@dataclass
class _Worker:
    slot: int
    pid: int
    line: socket.socket
    started: float
    ready: bool = False


@dataclass
class _Slot:
    backoff: float = 0.0
    start_at: float = 0.0
    worker: _Worker | None = field(default=None)


class Prefork:
    """Runs `work` in `count` processes until SIGTERM or SIGINT.

    `work` gets a `Control`, calls ``control.ready()`` when it accepts mail, and returns when it has
    drained. `reload` is called in the parent at SIGHUP and when `changed()` is true; if it returns
    True, the workers reload too. `changed` raises `StartError` if the daemon cannot continue: it
    then drains, and `run` raises the same error, so that a service manager can restart it.
    `grace()` is the number of seconds after which a drain kills the remaining workers, `told` the
    log line at its beginning. `started` is called once after the first forks: threads of the parent
    start there, and hold `fork_lock` while they work, so that a fork never copies a locked lock.
    `draining` is called once when a drain begins, to close the sockets that the parent opened.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[Control], None],
        *,
        log: FilteringBoundLogger,
        reload: Callable[[], bool],
        changed: Callable[[], bool],
        grace: Callable[[], float],
        started: Callable[[], None] = lambda: None,
        draining: Callable[[], None] = lambda: None,
        told: str = "draining: finishing work in progress",
        fork_lock: threading.Lock | None = None,
    ) -> None:
        share(count)
        self._slots = [_Slot() for _ in range(count)]
        self._work = work
        self._log = log
        self._reload = reload
        self._changed = changed
        self._grace = grace
        self._started = started
        self._close = draining
        self._told = told
        self._fork_lock = fork_lock or threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._draining = False

    def add_probes(self, probes: Probes) -> None:
        """Add probes. Ready: every worker accepts mail and none drains. Healthy: at least one
        worker lives."""
        probes.ready_when("workers", self._not_ready)
        probes.healthy_when("workers", self._not_alive)

    def _not_ready(self) -> str | None:
        if self._draining:
            return "draining"
        ready = sum(1 for slot in self._slots if slot.worker and slot.worker.ready)
        return None if ready == len(self._slots) else f"{ready} of {len(self._slots)} are ready"

    def _not_alive(self) -> str | None:
        return None if any(slot.worker for slot in self._slots) else "none is alive"

    def run(self) -> int:
        """Supervise the workers; returns the exit status of the daemon.

        Raises `StartError` if it cannot continue.
        """
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        receiver.setblocking(False)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for handled in _SIGNALS:
            signal.signal(handled, self._note)
        release_signals()
        self._selector.register(receiver, selectors.EVENT_READ, None)
        for number in range(len(self._slots)):
            self._start(number)
        self._started()
        look_at = time.monotonic() + LOOK_INTERVAL
        while not self._draining:
            self._wait(receiver, self._next_start(look_at))
            self._take_signals()
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_INTERVAL
                try:
                    changed = self._changed()
                except StartError:
                    self._drain(receiver)
                    raise
                if changed:
                    self._pass_on_reload()
            for number, slot in enumerate(self._slots):
                if slot.worker is None and slot.start_at <= now and not self._draining:
                    self._start(number)
        return self._drain(receiver)

    def _note(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _take_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self._draining = True
            elif number == signal.SIGHUP:
                self._pass_on_reload()
        self._reap()

    def _pass_on_reload(self) -> None:
        if self._reload():
            self._tell(_RELOAD)

    def _tell(self, word: bytes) -> None:
        for slot in self._slots:
            if slot.worker:
                with contextlib.suppress(OSError):  # it is dying; SIGCHLD follows
                    slot.worker.line.send(word)

    def _next_start(self, look_at: float) -> float:
        starts = [slot.start_at for slot in self._slots if slot.worker is None]
        return min([look_at, *starts]) - time.monotonic()

    def _wait(self, receiver: socket.socket, seconds: float) -> None:
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    receiver.recv(4096)
            else:
                self._hear(key.data)

    def _hear(self, worker: _Worker) -> None:
        try:
            words = worker.line.recv(64)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._selector.unregister(worker.line)
        elif _READY in words:
            worker.ready = True

    def _start(self, number: int) -> None:
        slot = self._slots[number]
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            self._could_not_start(slot, error)
            return
        try:
            with self._fork_lock:
                pid = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            self._could_not_start(slot, error)
            return
        if pid == 0:
            self._be_worker(ours, theirs, number)
        theirs.close()
        ours.setblocking(False)
        worker = _Worker(number, pid, ours, time.monotonic())
        slot.worker = worker
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _could_not_start(self, slot: _Slot, error: OSError) -> None:
        """Retry later: the machine has no resources for another process now."""
        self._wait_longer(slot)
        self._log.error("a worker could not be started", error=str(error), backoff=slot.backoff)

    def _wait_longer(self, slot: _Slot) -> None:
        slot.backoff = min(max(FIRST_BACKOFF, slot.backoff * 2), MAX_BACKOFF)
        slot.start_at = time.monotonic() + slot.backoff

    def _be_worker(self, ours: socket.socket, theirs: socket.socket, number: int) -> None:
        status = 1
        try:
            become_worker(number)
            signal.set_wakeup_fd(-1)
            for handled in _SIGNALS:
                signal.signal(handled, signal.SIG_DFL)
            # Ctrl-C is handled by the parent, which drains
            os.setpgid(0, 0)
            ours.close()
            for slot in self._slots:
                if slot.worker:
                    slot.worker.line.close()
            self._selector.close()
            self._work(Control(theirs, number))
            status = 0
        except BaseException:
            self._log.error("worker failed", exception=traceback.format_exc())
        finally:
            os._exit(status)  # do not run the parent's exit hooks in the worker

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for slot in self._slots:
                if slot.worker and slot.worker.pid == pid:
                    self._buried(slot, slot.worker, status)

    def _buried(self, slot: _Slot, worker: _Worker, status: int) -> None:
        slot.worker = None
        if worker.line in self._selector.get_map():
            self._selector.unregister(worker.line)
        worker.line.close()
        worker_ended(worker.slot)
        if self._draining:
            return
        if time.monotonic() - worker.started < SOON:
            self._wait_longer(slot)
        else:
            slot.backoff = slot.start_at = 0.0
        RESTARTS.inc()
        self._log.error(
            "worker died, starting another",
            worker=worker.pid,
            status=os.waitstatus_to_exitcode(status),
            backoff=slot.backoff,
        )

    def _drain(self, receiver: socket.socket) -> int:
        grace = self._grace()
        self._log.info(self._told, grace=grace)
        self._draining = True
        self._close()
        self._tell(_DRAIN)
        end = time.monotonic() + grace
        while any(slot.worker for slot in self._slots) and time.monotonic() < end:
            self._wait(receiver, end - time.monotonic())
            self._reap()
        left = [slot.worker.pid for slot in self._slots if slot.worker]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if left:
            self._log.warning("drain_grace is over, workers were killed", workers=left)
        self._log.info("stopped")
        return 0
