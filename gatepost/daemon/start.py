"""The common start of the daemons, before each builds its own objects."""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from structlog.typing import FilteringBoundLogger

from gatepost.config import GroundSettings, ServerSettings
from gatepost.daemon.listeners import Listeners
from gatepost.daemon.open_files import allow_open_files
from gatepost.daemon.own_handshake import OwnHandshake, reached_at
from gatepost.daemon.sockets import listening_socket
from gatepost.daemon.start_signals import hold_signals, undisturbed
from gatepost.daemon.watch import Watch
from gatepost.errors import StartError
from gatepost.handshake import Handshake
from gatepost.logs import configure, get_logger
from gatepost.metrics import MetricsServer, Probes

S = TypeVar("S", bound=ServerSettings)

Load: TypeAlias = Callable[[], tuple[GroundSettings, S]]
"""Reads the configuration; returns the common settings and the daemon's section, or raises
`ConfigError`."""


@dataclass(frozen=True)
class Started(Generic[S]):
    """A daemon with its sockets open, running as its user; it does not accept connections yet."""

    name: str
    """The name of its section and of its logger."""
    load: Load[S]
    config: Path | None
    ground: GroundSettings
    """The common settings of the start; `settings` is the section of the start."""
    settings: S
    log: FilteringBoundLogger
    listeners: Listeners
    probes: Probes
    metrics: MetricsServer | None
    """The listening metrics server, which the runner starts; None if not configured."""
    watch: Watch
    """The watch of `config`, which knows the state from before it was read."""
    read_since: float
    """The time just before the configuration was read, in seconds since the epoch."""

    def probe_with(self, begin: Callable[[], Handshake]) -> None:
        """Serve `/handshake` with this handshake, over the first address of `listen`."""
        address = reached_at(self.settings.listen[0], self.listeners["listen"][0])
        self.probes.shakes_hands(OwnHandshake(begin, address))


@contextlib.contextmanager
def starting(name: str, load: Load[S], config: Path | None) -> Iterator[Started[S]]:
    """Read the configuration, configure logs, open sockets, drop root; close everything at the end.

    `config` is the file that `load` reads: it is watched, and need not exist. No socket file
    remains, however the start ends. Raises `ConfigError` and `StartError`.
    """
    # here, because it may not be readable after dropping root, and not at the top of the module,
    # because commands that use other parts of this package need no event loop
    import uvloop  # noqa: F401

    hold_signals()
    watch = Watch(() if config is None else (config,))
    read_since = time.time()
    ground, settings = load()
    configure(ground.log)
    log = get_logger(name)
    allow_open_files(settings.all_connections, log)
    with contextlib.ExitStack() as opened:
        with undisturbed():
            listeners = Listeners.open(settings.served, settings.socket_mode, settings.socket_group)
            opened.callback(listeners.close)
        probes = Probes()
        metrics = None
        if settings.metrics_listen is not None:
            metrics = MetricsServer(listening_socket(settings.metrics_listen), probes)
            opened.callback(metrics.close)
        _drop_privileges(settings.user)  # before the daemon creates or reads its own files
        yield Started(
            name,
            load,
            config,
            ground,
            settings,
            log,
            listeners,
            probes,
            metrics,
            watch,
            read_since,
        )


def _drop_privileges(user: str | None) -> None:
    """Become `user` with its groups if this process is root; raises `StartError`.

    Without root, this does nothing, but fails if `user` is a different user.
    """
    if user is None:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"there is no user {user!r} to run as") from None
    if os.geteuid() == entry.pw_uid:
        return
    if os.geteuid() != 0:
        raise StartError(f"only root can become the user {user!r}")
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
