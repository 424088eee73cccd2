"""The runner of a daemon with a single process and an event loop."""

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
"""Thresholds of the garbage collector for its three generations."""
HEARTBEAT_LIMIT = 10.0
"""Seconds without a turn of the event loop after which the process is unhealthy."""


class Served(Protocol):
    """The interface of a daemon for its runner, which calls these in the event loop, in this
    order."""

    async def start(self, listeners: Listeners) -> None:
        """Accept connections."""

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the started tasks that the daemon cannot run without."""

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return the background work until the connections are drained; none may end earlier."""

    async def drain(self, grace: float) -> None:
        """Accept nothing new and finish the work in progress, within `grace` seconds."""

    async def close(self) -> None:
        """Release all resources."""


async def run_single(
    started: Started[S], reloader: Reloader[S, T], served: Served, *, draining: str
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    `draining` is the log line at the beginning of the drain. Raises `StartError` if the daemon
    cannot continue: a socket was removed, or a necessary task has ended.
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
    started.listeners.remove_files()  # from now on the next daemon can use the path
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
    """Return the error for a necessary task that has ended, and log it."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, StartError):
        return error
    name = task.get_coro().__qualname__.rpartition(".")[2].strip("_")  # type: ignore[union-attr]
    log.error(
        "a necessary task has ended: the server stops so that it can be restarted",
        task=name,
        exception="".join(traceback.format_exception(error)) if error else "",
    )
    return StartError(f"the task {name} has ended: {error!r}")


def _collect_seldom() -> None:
    """Collect the garbage of the start, and then collect less often.

    The objects of the start stay, and requests leave no cycles. A full collection takes tens of
    milliseconds, in which no request is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


class _Life(Generic[S, T]):
    """The file watch and the probes."""

    def __init__(self, started: Started[S], reloader: Reloader[S, T]) -> None:
        self._listeners = started.listeners
        self._reloader = reloader
        self._beat = time.monotonic()
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None
        self.draining = False

    def add_probes(self, probes: Probes) -> None:
        """Add probes: ready unless it drains, healthy while the event loop turns."""
        probes.ready_when("server", lambda: "draining" if self.draining else None)
        probes.healthy_when("loop", self._stuck)

    def _stuck(self) -> str | None:
        silent = time.monotonic() - self._beat
        return f"event loop blocked for {silent:.0f} s" if silent > HEARTBEAT_LIMIT else None

    @property
    def _is_reloading(self) -> bool:
        return self._reloading is not None and not self._reloading.done()

    def reload(self) -> None:
        """Schedule a reload; on failure, the last good configuration stays in use.

        Lists may be long, so they are read in a thread while requests are answered.
        """
        self._reload_wanted = not self.draining
        if self._reload_wanted and not self._is_reloading:
            self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        while self._reload_wanted:
            self._reload_wanted = False
            await asyncio.to_thread(self._reloader.reload)

    async def watch_files(self) -> None:
        """Reload the configuration when a file has changed, until a socket is removed."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            self._beat = time.monotonic()
            if self._is_reloading:
                self._listeners.check()
            elif self._reloader.changed():
                self.reload()
