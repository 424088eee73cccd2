"""The milter as a daemon: sockets, workers, reload and drain.

The parent opens the sockets, leaves root, reads configuration and keys, and forks. Each worker
takes connections from all sockets in an event loop; a thread beside it obeys the parent, and reads
configuration and keys anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import uvloop
from structlog.typing import FilteringBoundLogger

from gatepost.config import DnsSettings, GroundSettings, waiting_for_a_start, watched_paths
from gatepost.daemon import (
    Control,
    Current,
    Prefork,
    SocketFiles,
    Watch,
    allow_open_files,
    drop_privileges,
    listening_socket,
    metrics_server,
)
from gatepost.dns import AsyncResolver, Resolver, new_cache
from gatepost.errors import StartError
from gatepost.listen import Unix
from gatepost.logs import configure, get_logger
from gatepost.metrics import Probes
from milters.balance import Balance
from milters.decision import Decisions, Runtime
from milters.rules import Rules
from milters.settings import MiltersSettings
from milters.signing import KeyTable
from milters.vitals import Vitals
from milters.worker import Listener, Worker
from msgauth.errors import MsgauthError

MAX_WORKERS = 16
"""Workers when the number is left to us: more cores than that are rarely all for the milter."""

Load = Callable[[], tuple[GroundSettings, MiltersSettings]]


class Keys(Protocol):
    """Where the keys of one configuration after the other come from."""

    def open(self, settings: MiltersSettings, resolver: Resolver) -> KeyTable:
        """The keys as `settings` say; never raises."""

    @property
    def files(self) -> Sequence[Path]:
        """Files that the keys opened last were read from, besides those that a setting names."""

    def problem(self) -> str | None:
        """Why mail cannot be signed that should be, in a line; None when all is well."""

    def keep_looking(self) -> None:
        """Keep what was opened in line with DNS from now on; called in each worker."""


def serve(
    load: Load, open_keys: Callable[[FilteringBoundLogger], Keys], config: Path | None
) -> int:
    """Run the milter until SIGTERM; returns the exit status.

    `load` reads the configuration anew each time, `config` is its file, which is watched. Raises
    `ConfigError` and `StartError`.
    """
    ground, settings = load()
    configure(ground.log)
    log = get_logger("milters")
    allow_open_files(settings.max_connections, log)
    listeners, files = _open(settings)
    try:
        return _serve(load, open_keys, config, ground, settings, listeners, files, log)
    finally:
        _close(listeners, files)  # of a start that has failed too


def _serve(
    load: Load,
    open_keys: Callable[[FilteringBoundLogger], Keys],
    config: Path | None,
    ground: GroundSettings,
    settings: MiltersSettings,
    listeners: Sequence[Listener],
    files: SocketFiles,
    log: FilteringBoundLogger,
) -> int:
    """The daemon from its open sockets to its end."""
    probes = Probes()
    metrics = metrics_server(settings.metrics_listen, probes)
    drop_privileges(settings.user)
    keys = open_keys(log)
    build = _Build(load, keys, ground)
    current = Current(build, log)
    watch = Watch(_watched(config, settings, keys))

    def changed() -> bool:
        files.check()
        return watch.changed()

    def reload() -> bool:
        watch.about_to_read()
        reloaded = current.reload()
        now = current.value.rules.settings
        waiting = [
            *waiting_for_a_start(ground.log, build.ground.log, "log"),
            *waiting_for_a_start(settings, now, "milters"),
        ]
        if reloaded and waiting:
            log.warning(
                "read at the start alone: a restart takes over what has changed", keys=waiting
            )
        watch.follow(_watched(config, now, keys))
        return reloaded

    def work(control: Control) -> None:
        if metrics:
            metrics.leave()
        keys.keep_looking()
        _work(control, listeners, balance, vitals, current, log)

    workers = settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    balance = Balance(workers)
    vitals = Vitals(workers)
    prefork = Prefork(
        workers,
        work,
        log=log,
        reload=reload,
        changed=changed,
        grace=settings.drain_grace,
        started=metrics.start if metrics else lambda: None,
        draining=lambda: _close(listeners, files),
        fork_lock=metrics.lock if metrics else None,
    )
    prefork.add_probes(probes)
    probes.ready_when("keys", keys.problem)
    probes.ready_when("connections", vitals.not_taking)
    probes.ready_when("turns", vitals.stuck)
    probes.healthy_when("turns", vitals.all_stuck)
    log.info("listening", listen=list(map(str, settings.listen)), workers=workers)
    gc.collect()
    gc.freeze()  # what is here stays: workers share it, and no collection of theirs looks at it
    try:
        return prefork.run()
    finally:
        if metrics:
            metrics.close()


def _watched(config: Path | None, settings: MiltersSettings, keys: Keys) -> list[Path]:
    return [path for path in (config, *watched_paths(settings), *keys.files) if path]


def _open(settings: MiltersSettings) -> tuple[Sequence[Listener], SocketFiles]:
    """All sockets, or none where one cannot be opened."""
    listeners: list[Listener] = []
    served = [(address, False) for address in settings.listen]
    served += [(address, True) for address in settings.submission_listen]
    for address, submission in served:
        try:
            listener = listening_socket(address, settings.socket_mode, settings.socket_group)
        except StartError:
            opened = [one for one, _ in served[: len(listeners)]]
            _close(listeners, SocketFiles(opened))
            raise
        if not isinstance(address, Unix):
            # accepted connections inherit it: an answer would otherwise wait for the
            # acknowledgement of the one before
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listeners.append(Listener(listener, submission))
    return listeners, SocketFiles([address for address, _ in served])


def _close(listeners: Sequence[Listener], files: SocketFiles) -> None:
    """No new connections: who comes now finds nobody, and Postfix defers."""
    for listener in listeners:
        listener.socket.close()
    files.remove()


class _Build:
    """Reads configuration and keys into a `Runtime`; the DNS cache survives where it can."""

    def __init__(self, load: Load, keys: Keys, ground: GroundSettings) -> None:
        self._load = load
        self._keys = keys
        self.ground = ground
        """What was read last."""
        self._resolvers: tuple[DnsSettings, Resolver, AsyncResolver] | None = None

    def __call__(self) -> Runtime:
        ground, settings = self._load()
        self.ground = ground
        if self._resolvers is None or self._resolvers[0] != ground.dns:
            cache = new_cache(ground.dns)
            self._resolvers = (
                ground.dns,
                Resolver(ground.dns, cache),
                AsyncResolver(ground.dns, cache),
            )
        _, resolver, messages_resolver = self._resolvers
        try:
            rules = Rules.prepare(ground, settings, self._keys.open(settings, resolver))
        except MsgauthError as error:
            raise StartError(str(error)) from error
        return Runtime(rules, messages_resolver)


def _work(
    control: Control,
    listeners: Sequence[Listener],
    balance: Balance,
    vitals: Vitals,
    current: Current[Runtime],
    log: FilteringBoundLogger,
) -> None:
    """The life of a worker: take mail until told to drain, finish what is under way, end."""
    current.count()
    decisions = Decisions(lambda: current.value, log)

    async def live() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def drain() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the parent
                loop.call_soon_threadsafe(stop.set)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)  # a service manager may signal workers too
        worker = Worker(control.number, decisions, balance, vitals, log)
        worker.listen(listeners)
        control.listen(on_reload=current.reload, on_drain=drain)
        control.ready()
        await stop.wait()
        await worker.drain(current.value.rules.settings.drain_grace)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent reads the configuration first
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())
