"""The policy server as a daemon: its stores, its checks and its housekeeping."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from gatepost.config import DnsSettings, GroundSettings
from gatepost.daemon import (
    Current,
    Listeners,
    Load,
    Reloader,
    Started,
    StartError,
    run_single,
    starting,
)
from gatepost.dns import AsyncResolver
from gatepost.journal.sender import JournalSender
from gatepost.logs import get_logger
from gatepost.reports.sender import ReportSender
from gatepost.snapshots.feed import AccountsFeed
from policyd.accounts import PolicyAccounts
from policyd.bounds import Bounds
from policyd.build import Maker, Stores
from policyd.checks.dnslists import DnsListsCheck, ZoneStandings
from policyd.decisions import DecisionLog
from policyd.errors import PolicydError
from policyd.greylist_exchange import GreylistExchange
from policyd.greylist_questions import GreylistQuestions
from policyd.probe import policy
from policyd.server import PolicyServer
from policyd.settings import PolicydSettings
from policyd.stores import StoreError

SWEEP_INTERVAL = 1.0
"""Seconds between two sweeps of the store that found nothing; a million entries take a quarter of
an hour."""
SWEEP_INTERVAL_BUSY = 0.05
TEST_INTERVAL = 1.0
"""Seconds between two checks whether a DNS list is due for its test."""

log = get_logger("policyd")


def serve(load: Load[PolicydSettings], config: Path | None) -> int:
    """Run the policy server until SIGTERM; returns the exit status.

    `load` reads the configuration again each time; `config` is its file, which is watched and need
    not exist. Raises `ConfigError` and `StartError`.
    """
    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        starting("policyd", load, config) as started,
    ):
        return runner.run(_serve(started))


async def _serve(started: Started[PolicydSettings]) -> int:
    try:
        stores = Stores.open(started.settings.store)
    except PolicydError as error:
        raise StartError(str(error)) from None
    accounts = PolicyAccounts(started.settings.accounts)
    feed = accounts.feed(log)
    build = _Build(stores, accounts)
    reloader = Reloader(started, build)
    started.probe_with(policy)
    started.probes.ready_when("accounts", feed.problem)
    started.probes.remark("store", stores.problem)
    started.probes.remark("dnslists", lambda: _left_out(reloader.current.value))
    reports = accounts.reports(started.probes, log)
    exchange = accounts.exchange(log)
    served = _Service(
        started, reloader.current, stores, build, feed, accounts.journal(log), reports, exchange
    )
    return await run_single(
        started, reloader, served, draining="draining: answering requests in progress"
    )


class _InUse:
    """The checks of a configuration, and its limits."""

    def __init__(
        self,
        ground: GroundSettings,
        settings: PolicydSettings,
        stores: Stores,
        resolver: AsyncResolver,
        standings: ZoneStandings,
        accounts: PolicyAccounts,
    ) -> None:
        self.settings = settings
        self.engine = Maker(ground, settings, stores, resolver, standings, accounts).engine()
        self.bounds = Bounds(
            budget=settings.budget,
            idle_timeout=settings.idle_timeout,
            request_timeout=settings.request_timeout,
            max_connections=settings.max_connections,
            memory=settings.request_memory,
        )


def _left_out(in_use: _InUse) -> str | None:
    """Return one line about the DNS lists that are not asked; None if all are."""
    zones = [
        f"{zone.shown} ({zone.health.value})"
        for row in in_use.engine.rows
        if isinstance(row.check, DnsListsCheck)
        for zone in row.check.zones
        if zone.left_out
    ]
    return f"not asked, because their test fails: {', '.join(zones)}" if zones else None


class _Build:
    """Builds the checks of a configuration.

    It keeps the DNS cache where possible, and the known health of DNS lists.
    """

    def __init__(self, stores: Stores, accounts: PolicyAccounts) -> None:
        self._stores = stores
        self._accounts = accounts
        self._resolver: tuple[DnsSettings, AsyncResolver] | None = None
        self._standings: ZoneStandings = {}

    def __call__(self, ground: GroundSettings, settings: PolicydSettings) -> _InUse:
        resolver = self._resolver
        if resolver is None or resolver[0] != ground.dns:
            # requests in progress keep the resolver that they began with; it needs no closing
            resolver = ground.dns, AsyncResolver(ground.dns)
        made = _InUse(ground, settings, self._stores, resolver[1], self._standings, self._accounts)
        self._resolver = resolver
        return made

    async def close(self) -> None:
        """Cancel the DNS queries in progress."""
        if self._resolver is not None:
            await self._resolver[1].close()


class _Service:
    """The server with its stores, in the form that `gatepost.daemon.run_single` expects."""

    def __init__(
        self,
        started: Started[PolicydSettings],
        current: Current[_InUse],
        stores: Stores,
        build: _Build,
        feed: AccountsFeed,
        journal: JournalSender,
        reports: ReportSender,
        exchange: GreylistExchange | None,
    ) -> None:
        self._exchange = exchange
        self._feed = feed
        self._reports = reports
        self._journal = journal
        self._settings = started.settings
        self._current = current
        self._stores = stores
        self._build = build
        self._server = PolicyServer(
            lambda: current.value.engine,
            lambda: current.value.bounds,
            DecisionLog(started.ground.log),
            journal,
        )

    async def start(self, listeners: Listeners) -> None:
        """Watch the store, and accept connections."""
        self._stores.start()
        self._feed.follow()
        self._feed.keep()
        self._journal.start()
        self._reports.start()
        if self._exchange is not None:
            questions = GreylistQuestions(
                self._stores.guarded,
                lambda: self._current.value.settings,
                self._exchange.instance,
            )
            self._exchange.start(questions.answer)
        await self._server.start(listeners["listen"])
        log.info(
            "ready",
            listen=[str(address) for address in self._settings.listen],
            checks=[row.check.name for row in self._current.value.engine.rows],
            store=self._settings.store.kind,
        )

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks of the server and of the store."""
        return (*self._server.tasks, *self._stores.tasks)

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Sweep the store, and test DNS lists."""
        return (self._sweep(), self._test_lists())

    async def drain(self, grace: float) -> None:
        """Answer the requests in progress."""
        await self._server.drain(grace)

    async def close(self) -> None:
        """Finish the work of the store, and cancel DNS queries."""
        self._feed.stop()
        if self._exchange is not None:
            self._exchange.stop()
        await asyncio.to_thread(self._journal.stop)
        await asyncio.to_thread(self._reports.stop)
        await self._stores.close()
        await self._build.close()

    async def _sweep(self) -> None:
        while True:
            removed = 0
            try:
                removed = await self._stores.lasting.sweep()
            except StoreError:
                pass  # the guard logs it
            except Exception:  # a mistake of ours must not stop mail
                log.exception("the store could not be swept")
            await asyncio.sleep(SWEEP_INTERVAL_BUSY if removed else SWEEP_INTERVAL)

    async def _test_lists(self) -> None:
        while True:
            try:
                for row in self._current.value.engine.rows:
                    if isinstance(row.check, DnsListsCheck):
                        await row.check.test_zones()
            except Exception:  # a mistake of ours must not stop mail
                log.exception("the DNS lists could not be tested")
            await asyncio.sleep(TEST_INTERVAL)
