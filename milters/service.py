"""The milter as a daemon: what its parent prepares, and what its workers do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from gatepost.config import DnsSettings, GroundSettings
from gatepost.daemon import Control, Load, Reloader, run_prefork, starting
from gatepost.dns import AsyncResolver, Resolver, new_cache
from gatepost.errors import StartError
from gatepost.ownership import OwnershipError
from milters.balance import Balance
from milters.decision import Decisions, Runtime
from milters.key_table import KeyTable
from milters.rules import Rules
from milters.settings import MiltersSettings
from milters.vitals import Vitals
from milters.worker import Listener, Worker
from msgauth.errors import MsgauthError

MAX_WORKERS = 16
"""Workers when the number is left to us: more cores than that are rarely all for the milter."""


class Keys(Protocol):
    """Where the keys of one configuration after the other come from."""

    def open(self, settings: MiltersSettings, resolver: Resolver) -> KeyTable:
        """Return the keys as `settings` say; never raises."""

    @property
    def files(self) -> Sequence[Path]:
        """Files that the keys opened last were read from, besides those that a setting names."""

    def problem(self) -> str | None:
        """Why mail cannot be signed that should be, in a line; None when all is well."""

    def keep_looking(self) -> None:
        """Keep what was opened in line with DNS from now on; called in each worker."""


def serve(
    load: Load[MiltersSettings],
    open_keys: Callable[[FilteringBoundLogger], Keys],
    config: Path | None,
) -> int:
    """Run the milter until SIGTERM; returns the exit status.

    `load` reads the configuration anew each time, `config` is its file, which is watched. Raises
    `ConfigError` and `StartError`.
    """
    with starting("milters", load, config) as started:
        keys = open_keys(started.log)
        reloader = Reloader(started, _Build(keys), lambda: keys.files)
        current = reloader.current
        workers = started.settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
        balance = Balance(workers)
        vitals = Vitals(workers)
        listeners = [
            *(Listener(one, submission=False) for one in started.listeners["listen"]),
            *(Listener(one, submission=True) for one in started.listeners["submission_listen"]),
        ]

        async def work(control: Control, stop: asyncio.Event) -> None:
            """Take mail until told to drain, and finish what is under way."""
            keys.keep_looking()
            decisions = Decisions(lambda: current.value, started.log)
            worker = Worker(control.number, decisions, balance, vitals, started.log)
            worker.listen(listeners)
            control.ready()
            await stop.wait()
            await worker.drain(current.value.rules.settings.drain_grace)

        started.probes.ready_when("keys", keys.problem)
        started.probes.ready_when("connections", vitals.not_taking)
        started.probes.ready_when("turns", vitals.stuck)
        started.probes.healthy_when("turns", vitals.all_stuck)
        listening = list(map(str, started.settings.listen))
        started.log.info("listening", listen=listening, workers=workers)
        return run_prefork(
            started,
            reloader,
            workers,
            work,
            draining="draining: messages under way are finished",
        )


class _Build:
    """Makes a `Runtime` from configuration and keys; the DNS cache survives where it can."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._resolvers: tuple[DnsSettings, Resolver, AsyncResolver] | None = None

    def __call__(self, ground: GroundSettings, settings: MiltersSettings) -> Runtime:
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
        except OwnershipError as error:
            raise StartError(f"[milters.ownership]: {error}") from None
        return Runtime(rules, messages_resolver)
