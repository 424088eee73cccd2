"""Process of the LMTP proxy: its rules, its scanners and its data from accounts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from delivery.learning.server import LearningRules, LearningServer, read_learning_token
from delivery.learning_settings import LEARNING_LISTEN
from delivery.mailboxes import AccountsData
from delivery.message_delivery import DeliveryRules
from delivery.outage import Outage
from delivery.probe import lmtp
from delivery.quarantine.folder import HeldFolder
from delivery.quarantine_holder import VirusQuarantine
from delivery.quarantine_settings import QUARANTINE_LISTEN
from delivery.scanners import SpamScanner, VirusScanner
from delivery.server import DeliveryServer
from delivery.settings import DeliverySettings
from delivery.store_pool import StorePool
from delivery.trainer import LessonTurns, Trainer
from gatepost.config import GroundSettings
from gatepost.daemon import Current, Listeners, Load, Reloader, Started, run_single, starting
from gatepost.errors import StartError
from gatepost.journal.sender import JournalSender
from gatepost.logs import get_logger
from gatepost.metrics import Probes
from gatepost.quarantine.server import HolderRules, HolderServer, holder_name
from gatepost.quarantine.settings import read_holder_token
from gatepost.reports.sender import ReportSender
from gatepost.snapshots.feed import AccountsFeed

log = get_logger("delivery")


def serve(load: Load[DeliverySettings], config: Path | None) -> int:
    """Run the proxy until SIGTERM; returns the exit status.

    `load` reads the configuration again each time; `config` is its file, which is watched and need
    not exist. Raises `ConfigError` and `StartError`.
    """
    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        starting("delivery", load, config) as started,
    ):
        return runner.run(_serve(started))


async def _serve(started: Started[DeliverySettings]) -> int:
    data = AccountsData(started.settings.accounts)
    feed = data.feed(log)
    build = _Build(data, _open_folder(started.settings))
    reloader = Reloader(started, build)
    started.probe_with(lmtp)
    started.probes.ready_when("accounts", data.problem)
    build.add_remarks(started.probes)
    served = _Service(started, reloader.current, feed, build)
    return await run_single(
        started, reloader, served, draining="draining: delivering messages in progress"
    )


class _Build:
    """Builder of the rules of a configuration. Outages and connections outlive a reload."""

    def __init__(self, data: AccountsData, folder: HeldFolder | None) -> None:
        self._data = data
        self.folder = folder
        self.token = b""
        """The token of those who may see the quarantine."""
        self.pool = StorePool()
        self._spam_outage = Outage()
        self._virus_outage = Outage()
        self._last: DeliveryRules | None = None
        self._turns = LessonTurns()
        self.learning: LearningRules | None = None
        """The objects of the service that teaches; None if it is off."""

    def add_remarks(self, probes: Probes) -> None:
        """Add the scanners that do not answer to `/readyz`, which stays ready: mail waits."""
        probes.remark("spam scanner", lambda: self._spam_outage.remark(time.monotonic()))
        probes.remark("virus scanner", lambda: self._virus_outage.remark(time.monotonic()))

    def __call__(self, ground: GroundSettings, settings: DeliverySettings) -> DeliveryRules:
        last = self._last
        spam = virus = None
        if settings.spam.engine != "none":
            spam = last.spam if last is not None else None
            # a scanner that stays keeps its turns; a secret is read anew
            if spam is None or spam.settings != settings.spam or settings.spam.password_file:
                spam = SpamScanner(settings.spam, self._spam_outage, log)
        if settings.virus.enabled:
            virus = last.virus if last is not None else None
            if virus is None or virus.settings != settings.virus:
                virus = VirusScanner(settings.virus, self._virus_outage, log)
        self._last = DeliveryRules(
            settings,
            ground.hostname,
            settings.authserv_id or ground.hostname,
            self._data,
            spam,
            virus,
            self.pool,
            self.folder,
        )
        kept = settings.quarantine
        self.token = read_holder_token(kept.token_file, "delivery.quarantine.token_file")
        if self.folder is not None:
            self.folder.max_size = kept.max_size
        self.learning = self._learning(self._last)
        return self._last

    def _learning(self, rules: DeliveryRules) -> LearningRules | None:
        settings = rules.settings
        if not settings.learning.listen or rules.spam is None:
            return None
        token = read_learning_token(settings.learning)
        trainer = Trainer(settings, rules.spam.password, log, self._turns)
        return LearningRules(rules, trainer, token)


class _Service:
    """The server with its data, in the form that `gatepost.daemon.run_single` expects."""

    def __init__(
        self,
        started: Started[DeliverySettings],
        current: Current[DeliveryRules],
        feed: AccountsFeed,
        build: _Build,
    ) -> None:
        self._pool = build.pool
        self._settings = started.settings
        self._feed = feed
        self._journal = JournalSender(started.settings.accounts, log)
        self._reports = ReportSender(
            "delivery", started.settings.accounts, lambda: started.probes, log
        )
        self._server = DeliveryServer(lambda: current.value, log, self._journal)
        self._learning = LearningServer(lambda: build.learning, log)
        self._holder: VirusQuarantine | None = None
        if build.folder is not None:
            self._holder = VirusQuarantine(build.folder, lambda: current.value, log, self._journal)
        self._build = build
        self._name = holder_name("virus")
        self._quarantine = HolderServer(self._holder_rules, log)

    async def start(self, listeners: Listeners) -> None:
        """Take data from accounts, and accept connections."""
        self._feed.follow()
        self._feed.keep()
        self._journal.start()
        self._reports.start()
        self._server.start(listeners["listen"])
        self._learning.start(listeners[LEARNING_LISTEN])
        self._quarantine.start(listeners[QUARANTINE_LISTEN])
        settings = self._settings
        log.info(
            "ready",
            listen=[str(address) for address in settings.listen],
            engine=settings.spam.engine,
            scanner=str(settings.spam.address),
            virus=settings.virus.enabled,
            store=str(settings.stores.default),
        )

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return nothing: the server has only tasks of connections."""
        return ()

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Return the work on the quarantine: there is no other between messages."""
        return () if self._holder is None else (self._holder.keep_house(),)

    async def drain(self, grace: float) -> None:
        """Deliver the messages in progress."""
        servers = (self._server, self._learning, self._quarantine)
        await asyncio.gather(*(server.drain(grace) for server in servers))

    async def close(self) -> None:
        """Stop fetching data, and close idle connections."""
        self._feed.stop()
        await asyncio.to_thread(self._journal.stop)
        await asyncio.to_thread(self._reports.stop)
        self._pool.close()

    def _holder_rules(self) -> HolderRules | None:
        if self._holder is None:
            return None
        return HolderRules(self._holder, self._name, self._build.token)


def _open_folder(settings: DeliverySettings) -> HeldFolder | None:
    """Return the folder of the quarantine, if there is one; raises `StartError`."""
    kept = settings.quarantine
    if kept.folder is None:
        return None
    folder = HeldFolder(kept.folder, kept.max_size)
    try:
        folder.prepare()
    except OSError as error:
        raise StartError(f"delivery.quarantine.folder: {error}") from None
    return folder
