"""Process of accounts: its database, rules, listeners and housekeeping."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvloop

from accounts.answers import Answers
from accounts.attempts import Attempts
from accounts.attempts_share import AttemptsShare, NotificationChannel, read_shared_secret
from accounts.counts import ATTEMPTS_REMEMBERED, PASSWORDS_WAITING, LookupCounts
from accounts.dovecot.token import read_token
from accounts.listeners import auth_server, dict_server, socketmap_server, tcp_table_server
from accounts.maps import Maps
from accounts.passwords import PasswordWorkers
from accounts.probe import socketmap
from accounts.renewals import Renewals
from accounts.settings import AccountsSettings
from accounts.smtp_logins import SmtpLogins
from accounts.snapshots.access import TokenError, Tokens
from accounts.sources.cache import CacheLimits, StaleCache
from accounts.sources.choice import StartedSource, make_source
from accounts.sources.source import Source
from accounts.srs_secrets import sender_rewriting
from accounts.store.errors import DatastoreError
from accounts.store.file import OpenedFile
from accounts.store.seal import SealError, SecretSeal
from accounts.traces.sqlite import SqliteTraces
from accounts.traces.trace import Traces
from accounts.uses import Uses
from accounts.vitals import AccountsVitals
from gatepost.config import GroundSettings
from gatepost.daemon import (
    ConnectionBounds,
    Current,
    Listeners,
    Load,
    Reloader,
    RequestServer,
    Started,
    run_single,
    starting,
)
from gatepost.errors import StartError
from gatepost.logs import get_logger

if TYPE_CHECKING:
    from accounts.dovecot.mover import Mover
    from accounts.dovecot.purge import Purge
    from accounts.dovecot.sessions import Sessions
    from accounts.http.server import HttpServer
    from accounts.journal.journal import MailJournal
    from accounts.journal.upkeep import JournalUpkeep
    from accounts.own_state import OwnState
    from accounts.snapshot_server import SnapshotServer
    from accounts.store.database import Database

COUNT_INTERVAL: Final = 1.0
"""Seconds between two updates of the metrics that are not updated by events."""
FLUSH_TIME: Final = 5.0
"""Seconds that writing the last uses of logins may take at the end."""

log = get_logger("accounts")


def serve(load: Load[AccountsSettings], config: Path | None) -> int:
    """Run accounts until SIGTERM; returns the exit status.

    `load` reads the configuration again at each call. `config` is its file, which is watched and
    need not exist. Raises `ConfigError` and `StartError`.
    """
    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        starting("accounts", load, config) as started,
    ):
        return runner.run(_serve(started))


async def _serve(started: Started[AccountsSettings]) -> int:
    settings = started.settings
    database, traces = await _open(settings)
    source = make_source(settings.database)
    kept = settings.cache
    cache = StaleCache(
        CacheLimits(kept.entries, kept.size, kept.keep, kept.keep_changed, kept.trust_missing)
    )
    share = None
    if isinstance(traces, NotificationChannel):
        share = AttemptsShare(traces, lambda: reloader.current.value.attempts)
    reloader = Reloader(started, _Build(source, cache, share))
    vitals = AccountsVitals(source, cache, kept.keep, tells=settings.database.path is not None)
    vitals.add_probes(started.probes)
    started.probe_with(socketmap)
    served = _Service(started, reloader.current, traces, source, vitals, database, share)
    return await run_single(
        started, reloader, served, draining="draining: answering requests in progress"
    )


async def _open(settings: AccountsSettings) -> tuple[Database | None, Traces]:
    """Return the datastore, if it is needed, and the traces; raises `StartError`.

    SQLAlchemy takes a quarter of the memory of the service. Without the API, snapshots and Dovecot,
    the service does not load it.
    """
    path = settings.database.path
    needs = (
        settings.http_listen,
        settings.snapshot_listen,
        settings.dovecot_listen,
        settings.dovecot.doveadm_url,  # has those of the mail stores
    )
    database = None
    if any(needs):
        from accounts.store.database import Database

        database = Database.open(settings.database)
    if path is None:
        # imported here, because its driver takes memory
        from accounts.traces.postgres import PostgresTraces

        return database, await PostgresTraces.open(settings.database)
    if database is None:
        return None, SqliteTraces.open(OpenedFile(path), settings.database.timeout)
    from accounts.traces.stored import StoredTraces

    return database, StoredTraces(database)


class _InUse:
    """Objects made from a configuration: `accounts.login_rules.LoginRules`, and the bounds."""

    def __init__(
        self,
        settings: AccountsSettings,
        answers: Answers,
        attempts: Attempts,
        workers: PasswordWorkers,
        seal: SecretSeal,
        tokens: Tokens,
        dovecot_token: bytes | None,
    ) -> None:
        self.settings = settings
        self.seal = seal
        self.tokens = tokens
        self.dovecot_token = dovecot_token
        self.answers = answers
        self.attempts = attempts
        self.workers = workers
        self.lookup_bounds = ConnectionBounds(
            idle_timeout=settings.idle_timeout,
            request_timeout=settings.request_timeout,
            answer_timeout=settings.lookup_timeout,
            max_connections=settings.max_connections,
        )
        self.login_bounds = ConnectionBounds(
            idle_timeout=settings.sasl_idle_timeout,
            request_timeout=settings.request_timeout,
            answer_timeout=settings.login_timeout,
            max_connections=settings.max_connections,
        )


class _Build:
    """Builder of the objects of a configuration. It keeps attempts and threads if their settings
    stay.

    Threads that are replaced finish their work and end.
    """

    def __init__(self, source: Source, cache: StaleCache, share: AttemptsShare | None) -> None:
        self._source = source
        self._cache = cache
        self._share = share
        self._key = secrets.token_bytes(32)
        self._last: _InUse | None = None

    def __call__(self, ground: GroundSettings, settings: AccountsSettings) -> _InUse:
        del ground
        last = self._last
        answers = Answers(
            self._source,
            self._cache,
            delimiter=settings.recipient_delimiter,
            srs=sender_rewriting(settings.srs),
            observer=LookupCounts(),
        )
        share = self._share
        if share is not None:
            share.secret = read_shared_secret(settings.database)
        if last is not None and last.settings.attempts == settings.attempts:
            attempts = last.attempts
        elif share is not None:
            attempts = Attempts(settings.attempts, share.key, share.add)
        else:
            attempts = Attempts(settings.attempts, self._key)
        if last is not None and last.settings.passwords == settings.passwords:
            workers = last.workers
        else:
            workers = PasswordWorkers(settings.passwords)
        try:
            seal = SecretSeal.read(settings.database.key_file)
        except SealError as error:
            raise StartError(f"accounts.database.key_file: {error}") from None
        try:
            tokens = Tokens.read(settings.snapshots)
        except TokenError as error:
            raise StartError(f"accounts.snapshots.{error}") from None
        token = None
        if settings.dovecot.token_file is not None:
            try:
                token = read_token(settings.dovecot.token_file)
            except (OSError, ValueError) as error:
                raise StartError(f"accounts.dovecot.token_file: {error}") from None
        self._last = _InUse(settings, answers, attempts, workers, seal, tokens, token)
        return self._last


class _Service:
    """Servers with their database, in the form that `gatepost.daemon.run_single` expects."""

    def __init__(
        self,
        started: Started[AccountsSettings],
        current: Current[_InUse],
        traces: Traces,
        source: StartedSource,
        vitals: AccountsVitals,
        database: Database | None,
        share: AttemptsShare | None,
    ) -> None:
        self._share = share
        self._settings = started.settings
        if database is not None:
            database.stores = lambda: current.value.settings.stores.names
        self._current = current
        self._traces = traces
        self._database = database
        self._source = source
        self._vitals = vitals
        self._uses = Uses(traces, lambda: current.value.workers)
        self._renewals = Renewals(traces, lambda: current.value.attempts)
        maps = Maps(lambda: current.value.answers, log)
        logins = SmtpLogins(lambda: current.value, self._uses.add, log)

        def lookup_bounds() -> ConnectionBounds:
            return current.value.lookup_bounds

        self._servers: dict[str, RequestServer[Any, Any] | HttpServer | SnapshotServer] = {
            "listen": socketmap_server(maps.answer, lookup_bounds),
            "sasl_listen": auth_server(logins.answer, lambda: current.value.login_bounds),
            "domains_listen": tcp_table_server("domains", maps.answer, lookup_bounds),
            "mailboxes_listen": tcp_table_server("mailboxes", maps.answer, lookup_bounds),
            "aliases_listen": tcp_table_server("aliases", maps.answer, lookup_bounds),
        }
        self._journal: MailJournal | None = None
        self._upkeep: JournalUpkeep | None = None
        # imported here, because their libraries take memory that other services do not need
        if database is not None and (self._settings.http_listen or self._settings.snapshot_listen):
            from accounts.journal.journal import MailJournal
            from accounts.journal.upkeep import JournalUpkeep

            self._journal = MailJournal(
                lambda: current.value.settings.journal,
                self._settings.database,
                lambda: current.value.settings.recipient_delimiter,
            )
            self._upkeep = JournalUpkeep(self._journal)
        if database is not None and self._settings.http_listen:
            from accounts.api import api_server

            self._servers["http_listen"] = api_server(
                database, lambda: current.value, self._uses.add, started.ground, self._journal
            )
        if self._journal is not None and self._settings.snapshot_listen:
            from accounts.snapshot_server import snapshot_server

            assert database is not None  # noqa: S101
            self._servers["snapshot_listen"] = snapshot_server(
                database, lambda: current.value, self._journal
            )
        if database is not None and self._settings.dovecot_listen:
            from accounts.dovecot.server import dovecot_server

            self._servers["dovecot_listen"] = dovecot_server(
                database, self._settings, lambda: current.value, self._uses.add
            )
        if self._settings.dict_listen:
            from accounts.dovecot.scripts import Scripts

            scripts = Scripts(lambda: current.value, log)
            self._servers["dict_listen"] = dict_server(scripts.answer, lookup_bounds)

        self._own_state: OwnState | None = None
        if database is not None:
            from accounts.own_state import OwnState

            self._own_state = OwnState(database, started.probes)

        self._sessions: Sessions | None = None
        self._purge: Purge | None = None
        self._mover: Mover | None = None
        if database is not None and self._settings.dovecot.doveadm_url:
            from accounts.dovecot.mover import Mover

            # stores may get their names later, by a reload
            self._mover = Mover(database, lambda: current.value.settings)
            self._mover.add_probes(started.probes)
            from accounts.dovecot.sessions import Sessions

            self._sessions = Sessions(database, lambda: current.value.settings.dovecot)
            self._sessions.add_probes(started.probes)
            from accounts.dovecot.purge import Purge

            self._purge = Purge(
                database,
                lambda: current.value.settings.dovecot,
                lambda: current.value.settings.keep_deleted,
            )

    async def start(self, listeners: Listeners) -> None:
        """Connect to the database, and accept connections."""
        self._source.start()
        await self._vitals.look()
        for key, server in self._servers.items():
            await server.start(listeners[key])
        served = self._settings.served
        log.info(
            "ready",
            **{key: [str(one) for one in addresses] for key, addresses in served.items()},
            database=self._settings.database.url,
            generation=self._source.generation,
        )

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks of the servers."""
        return [task for server in self._servers.values() for task in server.tasks]

    def housekeeping(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Watch the database and its changes, write the uses of logins, remove the mail of removed
        mailboxes, and update metrics."""
        return [
            self._vitals.run(),
            self._uses.run(),
            self._renewals.run(),
            self._count(),
            *(() if self._share is None else (self._share.run(),)),
            *(() if self._sessions is None else self._sessions.housekeeping()),
            *(() if self._purge is None else (self._purge.run(),)),
            *(() if self._mover is None else self._mover.housekeeping()),
            *(() if self._upkeep is None else (self._upkeep.run(),)),
            *(() if self._own_state is None else (self._own_state.run(),)),
        ]

    async def drain(self, grace: float) -> None:
        """Answer the requests in progress."""
        await asyncio.gather(*(server.drain(grace) for server in self._servers.values()))

    async def close(self) -> None:
        """Write the remaining uses of logins, and close the database."""
        try:
            async with asyncio.timeout(FLUSH_TIME):
                await self._uses.flush()
                if self._own_state is not None:
                    await self._own_state.end()
        except (DatastoreError, TimeoutError) as error:
            log.warning("the last uses of logins were not written", error=str(error))
        self._current.value.workers.close()
        await self._source.close()
        await self._traces.close()
        if self._journal is not None:
            await self._journal.close()
        if self._database is not None:
            await self._database.close()

    async def _count(self) -> None:
        while True:
            rules = self._current.value
            ATTEMPTS_REMEMBERED.set(rules.attempts.size)
            PASSWORDS_WAITING.set(rules.workers.jobs)
            await asyncio.sleep(COUNT_INTERVAL)
