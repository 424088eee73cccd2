"""The milter as a daemon: preparation in the parent, and work in the workers."""

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
from gatepost.snapshots.senders import AccountRights
from milters.accounts import KeyTaker, MilterAccounts
from milters.balance import Balance
from milters.decision import Decisions, Runtime
from milters.key_table import KeyTable
from milters.probe import milter
from milters.rules import Rules
from milters.settings import MiltersSettings
from milters.virus_scanner import MilterVirusScanner
from milters.vitals import Vitals
from milters.worker import Listener, Worker
from msgauth.errors import MsgauthError

MAX_WORKERS = 16
"""Maximum workers by default: more cores are rarely all for the milter."""


class Keys(KeyTaker, Protocol):
    """The source of the keys of each configuration."""

    def open(self, settings: MiltersSettings, resolver: Resolver) -> KeyTable:
        """Return the keys of `settings`; never raises."""

    @property
    def files(self) -> Sequence[Path]:
        """Return the files of the keys opened last that no setting names."""

    def problem(self) -> str | None:
        """Return one line about why mail cannot be signed; None if all is well."""

    def keep_looking(self) -> None:
        """Keep comparing the opened keys with DNS; called in each worker."""


def serve(
    load: Load[MiltersSettings],
    open_keys: Callable[[FilteringBoundLogger], Keys],
    config: Path | None,
) -> int:
    """Run the milter until SIGTERM; returns the exit status.

    `load` reads the configuration again each time; `config` is its file, which is watched. Raises
    `ConfigError` and `StartError`.
    """
    with starting("milters", load, config) as started:
        keys = open_keys(started.log)
        accounts = MilterAccounts(started.settings.accounts, keys, started.log)
        build = _Build(keys, accounts.rights, started.log)
        reloader = Reloader(started, build, lambda: keys.files)
        current = reloader.current
        workers = started.settings.workers or min(os.cpu_count() or 1, MAX_WORKERS)
        balance = Balance(workers)
        vitals = Vitals(workers)
        listeners = [
            *(Listener(one, submission=False) for one in started.listeners["listen"]),
            *(Listener(one, submission=True) for one in started.listeners["submission_listen"]),
        ]

        async def work(control: Control, stop: asyncio.Event) -> None:
            """Accept mail until told to drain, then finish the messages in progress."""
            keys.keep_looking()
            accounts.feed.follow()
            if control.number == 0:
                accounts.feed.keep()
                accounts.reports.start()
            accounts.journal.start()
            decisions = Decisions(lambda: current.value, started.log, accounts.journal)
            worker = Worker(control.number, decisions, balance, vitals, started.log)
            worker.listen(listeners)
            control.ready()
            await stop.wait()
            await worker.drain(current.value.rules.settings.drain_grace)
            await asyncio.to_thread(accounts.journal.stop)
            await asyncio.to_thread(accounts.reports.stop)

        started.probe_with(milter)
        started.probes.ready_when("keys", keys.problem)
        started.probes.ready_when("accounts", accounts.feed.problem)
        started.probes.ready_when("connections", vitals.not_taking)
        started.probes.ready_when("turns", vitals.stuck)
        started.probes.healthy_when("turns", vitals.all_stuck)
        # without those of the parent, which alone knows how its workers are
        accounts.probes = started.probes.copy()
        listening = list(map(str, started.settings.listen))
        started.log.info("listening", listen=listening, workers=workers)
        return run_prefork(
            started,
            reloader,
            workers,
            work,
            draining="draining: finishing messages in progress",
        )


class _Build:
    """Builds a `Runtime` from configuration and keys.

    It keeps the DNS cache and the virus scanner where possible.
    """

    def __init__(self, keys: Keys, rights: AccountRights | None, log: FilteringBoundLogger) -> None:
        self._keys = keys
        self._rights = rights
        self._log = log
        self._virus: MilterVirusScanner | None = None
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
            opened = self._keys.open(settings, resolver)
            rules = Rules.prepare(ground, settings, opened, self._rights)
        except MsgauthError as error:
            raise StartError(str(error)) from error
        except OwnershipError as error:
            raise StartError(f"[milters.ownership]: {error}") from None
        virus = settings.virus
        if virus.address is None:
            self._virus = None
        elif self._virus is None or self._virus.settings != virus:
            self._virus = MilterVirusScanner(virus, virus.address, self._log)
        return Runtime(rules, messages_resolver, self._virus)
