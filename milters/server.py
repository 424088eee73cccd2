"""The milter as a daemon: sockets, workers, reload and drain.

The parent opens the sockets, leaves root, reads configuration and keys, and forks. Each worker runs
libmilter in a thread beside its main thread, which obeys the parent. libmilter would stop at
SIGTERM by itself, cutting off what is under way (it waits for the signal in a thread of its own);
the main thread gets the signal first, because it does not block it, and drains instead.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.config import DnsSettings, GroundSettings
from gatepost.daemon import (
    Control,
    Current,
    Prefork,
    SocketFiles,
    Watch,
    drop_privileges,
    listening_socket,
    metrics_server,
)
from gatepost.dns import Resolver
from gatepost.errors import StartError
from gatepost.listen import Unix
from gatepost.logs import configure, get_logger
from gatepost.metrics import Probes
from milters.adapter import engine
from milters.adapter.connection import Connection, TcpConnection, UnixConnection
from milters.adapter.listener import Placeholder, end_connections
from milters.rules import Rules
from milters.settings import MiltersSettings
from milters.signing import KeyTable
from milters.worker import Runtime, Worker
from msgauth.errors import MsgauthError

MAX_WORKERS = 16
"""Workers when the number is left to us: more cores than that are rarely all for the milter."""

LAST_WORDS = 2.0
"""Seconds that connections get to end once no message is under way: their last reply is written
and nothing is waited for, so this is only ever used up by a connection that never reads."""

PACKET_REST = 65536
"""Octets beside a header value in a packet of the milter protocol: the name and two NULs."""

_DRAIN = b"d"
_FAILED = b"f"

Load = Callable[[], tuple[GroundSettings, MiltersSettings]]


class Keys(Protocol):
    """Where the keys of one configuration after the other come from."""

    def open(self, settings: MiltersSettings, resolver: Resolver) -> KeyTable:
        """The keys as `settings` say; never raises."""

    def keep_looking(self) -> None:
        """Keep what was opened in line with DNS from now on; called in each worker."""


@dataclass(frozen=True)
class _Service:
    """One listener, and how connections on it are treated."""

    listener: socket.socket
    connection: type[Connection]


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
    services = _open(settings)
    files = SocketFiles((settings.listen, settings.submission_listen))
    placeholder = Placeholder(settings.listen, services[0].listener.family)
    placeholder.accept_nothing()  # the parent takes no connections
    probes = Probes()
    try:
        metrics = metrics_server(settings.metrics_listen, probes)
        drop_privileges(settings.user)
    except StartError:
        files.remove()
        raise
    keys = open_keys(log)
    current = Current(_Build(load, keys), log)
    watch = Watch(_watched(config, settings))

    def changed() -> bool:
        files.check()
        return watch.changed()

    def reload() -> bool:
        reloaded = current.reload()
        watch.follow(_watched(config, current.value.rules.settings))
        return reloaded

    def work(control: Control) -> None:
        if metrics:
            metrics.leave()
        service = services[control.number // workers]
        keys.keep_looking()
        _work(control, services, service, placeholder, current, log)

    workers = settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    prefork = Prefork(
        workers * len(services),
        work,
        log=log,
        reload=reload,
        changed=changed,
        grace=settings.drain_grace,
        started=metrics.start if metrics else lambda: None,
        draining=lambda: _close(services, files),
        fork_lock=metrics.lock if metrics else None,
    )
    prefork.add_probes(probes)
    log.info("listening", address=str(settings.listen), workers=workers)
    try:
        return prefork.run()
    finally:
        if metrics:
            metrics.close()


def _watched(config: Path | None, settings: MiltersSettings) -> list[Path]:
    return [path for path in (config, *settings.key_paths) if path]


def _open(settings: MiltersSettings) -> Sequence[_Service]:
    services = []
    for address, submission in ((settings.listen, False), (settings.submission_listen, True)):
        if address is None:
            continue
        listener = listening_socket(address, settings.socket_mode, settings.socket_group)
        connection = UnixConnection if isinstance(address, Unix) else TcpConnection
        if not isinstance(address, Unix):
            # accepted connections inherit it: a reply is several small writes, and each would
            # wait for the acknowledgement of the one before
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        services.append(
            _Service(listener, type("Connection", (connection,), {"submission": submission}))
        )
    if len({service.listener.family for service in services}) > 1:
        raise StartError("listen and submission_listen have to be of the same address family")
    return services


def _close(services: Sequence[_Service], files: SocketFiles) -> None:
    """No new connections: who comes now finds nobody, and Postfix defers."""
    for service in services:
        service.listener.close()
    files.remove()


class _Build:
    """Reads configuration and keys into a `Runtime`; the DNS cache survives where it can."""

    def __init__(self, load: Load, keys: Keys) -> None:
        self._load = load
        self._keys = keys
        self._resolver: tuple[DnsSettings, Resolver] | None = None

    def __call__(self) -> Runtime:
        ground, settings = self._load()
        if self._resolver is None or self._resolver[0] != ground.dns:
            self._resolver = ground.dns, Resolver(ground.dns)
        resolver = self._resolver[1]
        try:
            rules = Rules.prepare(ground, settings, self._keys.open(settings, resolver))
        except MsgauthError as error:
            raise StartError(str(error)) from error
        return Runtime(rules, resolver)


def _work(
    control: Control,
    services: Sequence[_Service],
    service: _Service,
    placeholder: Placeholder,
    current: Current[Runtime],
    log: FilteringBoundLogger,
) -> None:
    """The life of a worker: take mail until told to drain, finish what is under way, end."""
    current.count()
    worker = Worker(lambda: current.value, log)
    orders, told = os.pipe()

    def drain(*_: object) -> None:
        os.write(told, _DRAIN)

    def run() -> None:
        try:
            engine.take_long_fields(current.value.rules.settings.max_header + PACKET_REST)
            engine.run(type("Connection", (service.connection,), {"worker": worker}))
        except Exception:
            log.exception("libmilter failed")
        os.write(told, _FAILED)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drain)  # a service manager may signal the workers too
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent reads the configuration first
    placeholder.become(service.listener)
    control.listen(on_reload=current.reload, on_drain=drain)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    libmilter = threading.Thread(target=run, name="libmilter", daemon=True)
    libmilter.start()
    control.ready()
    if os.read(orders, 1) == _FAILED:
        raise StartError("libmilter cannot go on")
    placeholder.accept_nothing()
    name = service.listener.getsockname()
    for each in services:
        each.listener.close()
    if libmilter.ident is not None:
        # its poll() still holds the listener; interrupted, it looks at the descriptor anew
        signal.pthread_kill(libmilter.ident, signal.SIGUSR1)
    worker.under_way.wait_for_messages(current.value.rules.settings.drain_grace)
    end_connections(name)
    worker.under_way.wait_for_connections(LAST_WORDS)
