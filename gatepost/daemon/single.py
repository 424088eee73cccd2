"""The runner of a daemon that is one process with an event loop."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
import traceback
from collections.abc import Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from gatepost.daemon.listeners import Listeners
from gatepost.daemon.reloader import Reloader
from gatepost.daemon.start import S, Started
from gatepost.daemon.start_signals import release_signals
from gatepost.daemon.watch import LOOK_INTERVAL
from gatepost.errors import StartError
from gatepost.metrics import Probes

T = TypeVar("T")

COLLECT_AFTER = (20_000, 50, 50)
"""Objects until a collection of the young, such collections until one of the older, and so on."""
HEARTBEAT_LIMIT = 10.0
"""Seconds without a turn of the event loop after which the process is not healthy."""


class Served(Protocol):
    """A daemon as its runner sees it; all is called in the event loop, in this order."""

    async def start(self, listeners: Listeners) -> None:
        """Take connections."""

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Tasks that were started, and without which the daemon cannot go on."""

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Work that goes on beside the connections until these are drained; none may end."""

    async def drain(self, grace: float) -> None:
        """Take nothing new and finish what is under way, in `grace` seconds at most."""

    async def close(self) -> None:
        """Let go of what is left."""


async def run_single(
    started: Started[S], reloader: Reloader[S, T], served: Served, *, draining: str
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    `draining` is the line of the log that says what is still finished then. Raises `StartError`
    when the daemon cannot go on: a socket was taken away, or a task has ended that must not.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    life = _Life(started, reloader)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, life.reload)
    release_signals()
    life.add_probes(started.probes)
    await served.start(started.listeners)
    _collect_seldom()
    if started.metrics is not None:
        started.metrics.start()
    housekeeping = [loop.create_task(work) for work in (*served.housekeeping(), life.watch_files())]
    endless = (*housekeeping, *served.tasks)
    stopping: asyncio.Task[object] = loop.create_task(stop.wait())
    ended, _ = await asyncio.wait((*endless, stopping), return_when=asyncio.FIRST_COMPLETED)
    failure = next((_told(task, started.log) for task in endless if task in ended), None)
    grace = reloader.settings.drain_grace
    started.log.info(draining, grace=grace)
    life.draining = True
    started.listeners.remove_files()  # from now on the path is the next daemon's
    await served.drain(grace)
    for task in housekeeping:
        task.cancel()
    await asyncio.gather(*housekeeping, return_exceptions=True)
    await served.close()
    started.log.info("stopped")
    if failure is not None:
        raise failure
    return 0


def _told(task: asyncio.Task[None], log: FilteringBoundLogger) -> StartError:
    """Say why the daemon cannot go on without a task that has ended and should not have."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, StartError):
        return error
    name = task.get_coro().__qualname__.rpartition(".")[2].strip("_")  # type: ignore[union-attr]
    log.error(
        "a task that must not end has ended: the server stops, for another one to start",
        task=name,
        exception="".join(traceback.format_exception(error)) if error else "",
    )
    return StartError(f"the task {name} has ended: {error!r}")


def _collect_seldom() -> None:
    """Collect what is left of the start, and look for cycles less often.

    The objects of the start stay, and requests leave no cycles behind. A full collection takes tens
    of milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


class _Life(Generic[S, T]):
    """The watch over files, and the probes."""

    def __init__(self, started: Started[S], reloader: Reloader[S, T]) -> None:
        self._listeners = started.listeners
        self._reloader = reloader
        self._beat = time.monotonic()
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None
        self.draining = False

    def add_probes(self, probes: Probes) -> None:
        """Add probes: ready while it does not drain, healthy while the event loop turns."""
        probes.ready_when("server", lambda: "draining" if self.draining else None)
        probes.healthy_when("loop", self._stuck)

    def _stuck(self) -> str | None:
        silent = time.monotonic() - self._beat
        return f"no turn for {silent:.0f} s" if silent > HEARTBEAT_LIMIT else None

    @property
    def _is_reloading(self) -> bool:
        return self._reloading is not None and not self._reloading.done()

    def reload(self) -> None:
        """Read the configuration anew, soon; the last good one stays in use when that fails.

        Lists may be long: they are read in a thread, and requests are answered meanwhile.
        """
        self._reload_wanted = not self.draining
        if self._reload_wanted and not self._is_reloading:
            self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        while self._reload_wanted:
            self._reload_wanted = False
            await asyncio.to_thread(self._reloader.reload)

    async def watch_files(self) -> None:
        """Read the configuration anew when a file has changed, until a socket is taken away."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            self._beat = time.monotonic()
            if self._is_reloading:
                self._listeners.check()
            elif self._reloader.changed():
                self.reload()
