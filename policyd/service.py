"""The life of the policy server's process: start, reload, probes, housekeeping, drain."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from gatepost.config import DnsSettings, GroundSettings, waiting_for_a_start, watched_paths
from gatepost.daemon import (
    Current,
    SocketFiles,
    StartError,
    Watch,
    allow_open_files,
    drop_privileges,
    listening_socket,
    metrics_server,
)
from gatepost.dns import AsyncResolver
from gatepost.logs import get_logger
from gatepost.metrics import Probes
from policyd.bounds import Bounds
from policyd.build import Maker, Stores
from policyd.checks.dnslists import DnsLists, Standings
from policyd.decisions import DecisionLog
from policyd.errors import PolicydError
from policyd.server import PolicyServer
from policyd.settings import PolicydSettings
from policyd.stores import StoreError

SWEEP_INTERVAL = 1.0
"""Seconds between two sweeps of the store that found nothing; a million entries are looked through
in a quarter of an hour."""
SWEEP_INTERVAL_BUSY = 0.05
WATCH_INTERVAL = 2.0
TEST_INTERVAL = 1.0
"""Seconds between two looks whether a DNS list is due for its test."""
COLLECT_AFTER = (20_000, 50, 50)
"""Objects until a collection of the young, such collections until one of the older, and so on."""
HEARTBEAT_LIMIT = 10.0
"""Seconds without a turn of the event loop after which the process is not healthy."""

log = get_logger("policyd")


Load = Callable[[], tuple[GroundSettings, PolicydSettings]]


class _InUse:
    """A configuration and the checks made from it."""

    def __init__(
        self,
        ground: GroundSettings,
        settings: PolicydSettings,
        stores: Stores,
        resolver: AsyncResolver,
        standings: Standings,
    ) -> None:
        self.ground = ground
        self.settings = settings
        self.engine = Maker(ground, settings, stores, resolver, standings).engine()
        self.bounds = Bounds(
            budget=self.settings.budget,
            idle_timeout=self.settings.idle_timeout,
            request_timeout=self.settings.request_timeout,
            max_connections=self.settings.max_connections,
            memory=self.settings.request_memory,
        )

    def waits_for_a_start(self, ground: GroundSettings, settings: PolicydSettings) -> list[str]:
        """The keys that it has otherwise than the server was started with, and cannot change."""
        return [
            *waiting_for_a_start(ground.log, self.ground.log, "log"),
            *waiting_for_a_start(settings, self.settings, "policyd"),
        ]


class _Build:
    """Makes the checks anew from what `load` reads.

    The DNS cache survives where it can, and so does what is known of the health of DNS lists.
    """

    def __init__(
        self, load: Load, first: tuple[GroundSettings, PolicydSettings], stores: Stores
    ) -> None:
        self._load = load
        self._unused = [first]
        self._stores = stores
        self._resolver: tuple[DnsSettings, AsyncResolver] | None = None
        self._standings: Standings = {}

    def __call__(self) -> _InUse:
        ground, settings = self._unused.pop() if self._unused else self._load()
        resolver = self._resolver
        if resolver is None or resolver[0] != ground.dns:
            # requests under way keep the resolver that they began with; it needs no closing
            resolver = ground.dns, AsyncResolver(ground.dns)
        made = _InUse(ground, settings, self._stores, resolver[1], self._standings)
        self._resolver = resolver
        return made

    async def close(self) -> None:
        """Give up the questions that are under way."""
        if self._resolver is not None:
            await self._resolver[1].close()


def run(load: Load, watched: Sequence[Path] = ()) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    `load` reads and validates the whole configuration; it is called at the start, at SIGHUP and
    when one of `watched` changes. Raises `StartError` or `ConfigError` when the server cannot
    start, and `StartError` when its socket is taken away.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(load, watched))


async def serve(load: Load, watched: Sequence[Path] = ()) -> int:
    """As `run`, in an event loop that is there already."""
    first = load()
    _, settings = first
    allow_open_files(settings.max_connections, log)
    sockets, files = _listen(settings)
    try:
        return await _serve(load, first, watched, sockets, files)
    except PolicydError as error:
        raise StartError(str(error)) from None
    finally:  # of a start that has failed too
        files.remove()
        for listening in sockets:
            listening.close()


async def _serve(
    load: Load,
    first: tuple[GroundSettings, PolicydSettings],
    watched: Sequence[Path],
    sockets: Sequence[socket.socket],
    files: SocketFiles,
) -> int:
    """The daemon from its open sockets to its end."""
    ground, settings = first
    probes = Probes()
    metrics = metrics_server(settings.metrics_listen, probes)
    drop_privileges(settings.user)  # before the store makes its file
    stores = Stores.open(settings.store)
    build = _Build(load, first, stores)
    current = Current(build, log)
    server = PolicyServer(
        lambda: current.value.engine, lambda: current.value.bounds, DecisionLog(ground.log)
    )
    stop = asyncio.Event()
    life = _Life(current, server, stores, watched, files)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, life.reload)
    life.add_probes(probes)
    if metrics is not None:
        metrics.start()
    stores.start()
    await server.start(sockets)
    _collect_seldom()
    housekeeping = [loop.create_task(work) for work in life.housekeeping()]
    endless = (*housekeeping, *server.tasks, *stores.tasks)
    log.info(
        "ready",
        listen=[str(address) for address in settings.listen],
        checks=[row.check.name for row in current.value.engine.rows],
        store=settings.store.kind,
    )
    stopping: asyncio.Task[object] = loop.create_task(stop.wait())
    ended, _ = await asyncio.wait((*endless, stopping), return_when=asyncio.FIRST_COMPLETED)
    failure = next((_told(task) for task in endless if task in ended), None)
    log.info("draining: requests under way are answered", grace=settings.drain_grace)
    files.remove()  # from now on the path is the next daemon's
    await server.drain(current.value.settings.drain_grace)
    for task in housekeeping:
        task.cancel()
    await asyncio.gather(*housekeeping, return_exceptions=True)
    await stores.close()
    await build.close()
    if metrics is not None:
        metrics.close()
    log.info("stopped")
    if failure is not None:
        raise failure
    return 0


def _told(task: asyncio.Task[None]) -> StartError:
    """Why the daemon cannot go on without a task that has ended and should not have."""
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
    """What is there now stays, and requests leave no cycles behind: look for some less often.

    A full collection takes tens of milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _listen(settings: PolicydSettings) -> tuple[list[socket.socket], SocketFiles]:
    """All sockets, or none where one cannot be opened."""
    sockets: list[socket.socket] = []
    try:
        for address in settings.listen:
            listening = listening_socket(address, settings.socket_mode, settings.socket_group)
            if listening.family != socket.AF_UNIX:
                # accepted connections inherit it: an answer would otherwise wait for the
                # acknowledgement of the one before
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets.append(listening)
    except StartError:
        SocketFiles(settings.listen[: len(sockets)]).remove()
        for opened in sockets:
            opened.close()
        raise
    return sockets, SocketFiles(settings.listen)


class _Life:
    """What happens besides requests."""

    def __init__(
        self,
        current: Current[_InUse],
        server: PolicyServer,
        stores: Stores,
        watched: Sequence[Path],
        sockets: SocketFiles,
    ) -> None:
        self._current = current
        self._started = current.value.ground, current.value.settings
        self._server = server
        self._stores = stores
        self._watched = tuple(watched)
        self._sockets = sockets
        self._beat = time.monotonic()
        self._watch = Watch(self._files())
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None

    def add_probes(self, probes: Probes) -> None:
        """Ready: takes connections. Healthy: the event loop turns."""
        probes.ready_when("server", lambda: "draining" if self._server.draining else None)
        probes.healthy_when("loop", self._stuck)

    def _stuck(self) -> str | None:
        silent = time.monotonic() - self._beat
        return f"no turn for {silent:.0f} s" if silent > HEARTBEAT_LIMIT else None

    def reload(self) -> None:
        """Read the configuration anew, soon; the last good one stays in use when that fails.

        Lists may be long: they are read in a thread, and requests are answered meanwhile.
        """
        self._reload_wanted = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        while self._reload_wanted:
            self._reload_wanted = False
            try:
                await self._reload_once()
            except Exception:  # a mistake of ours must not stop mail
                log.exception("the configuration could not be read")

    async def _reload_once(self) -> None:
        log.info("configuration is being read")
        self._watch.about_to_read()
        if await asyncio.to_thread(self._current.reload):
            keys = self._current.value.waits_for_a_start(*self._started)
            if keys:
                log.warning(
                    "read at the start alone: a restart takes over what has changed", keys=keys
                )
        self._watch.follow(self._files())

    def _files(self) -> list[Path]:
        return [*self._watched, *watched_paths(self._current.value.settings)]

    def housekeeping(self) -> list[Coroutine[Any, Any, None]]:
        """The work that goes on beside the requests; none ends unless the daemon has to."""
        return [self._sweep(), self._test_lists(), self._watch_files()]

    async def _sweep(self) -> None:
        while True:
            removed = 0
            try:
                removed = await self._stores.lasting.sweep()
            except StoreError:
                pass  # the guard tells of it
            except Exception:  # a mistake of ours must not stop mail
                log.exception("the store could not be swept")
            await asyncio.sleep(SWEEP_INTERVAL_BUSY if removed else SWEEP_INTERVAL)

    async def _test_lists(self) -> None:
        while True:
            try:
                for row in self._current.value.engine.rows:
                    if isinstance(row.check, DnsLists):
                        await row.check.test_zones()
            except Exception:  # a mistake of ours must not stop mail
                log.exception("the DNS lists could not be tested")
            await asyncio.sleep(TEST_INTERVAL)

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            self._beat = time.monotonic()
            self._sockets.check()
            try:
                changed = self._watch.changed()
            except Exception:  # a mistake of ours must not stop mail
                log.exception("the configuration could not be looked at")
            else:
                if changed:
                    self.reload()
