"""Server of snapshots in the daemon, and of what the other daemons send: records and reports."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.types import ASGIApp

from accounts.greylist_exchange import GreylistExchangeServer
from accounts.http.server import HttpBounds, HttpServer
from accounts.journal.intake import JournalIntake
from accounts.journal.journal import MailJournal
from accounts.lookup.terms import LookupTerms
from accounts.report_intake import ReportIntake
from accounts.settings import AccountsSettings
from accounts.snapshots.access import Tokens
from accounts.snapshots.application import SnapshotApplication
from accounts.snapshots.contents import SnapshotInputs
from accounts.snapshots.shelf import SnapshotShelf
from accounts.store.database import Database
from accounts.store.seal import SecretSeal

BOUNDS = HttpBounds(request_timeout=15.0, idle_timeout=60.0, max_connections=300)


class SnapshotRules(Protocol):
    """The part of the configuration that snapshots depend on."""

    settings: AccountsSettings
    seal: SecretSeal
    tokens: Tokens


class SnapshotServer:
    """Server of snapshots, in the form that the service expects."""

    def __init__(
        self,
        application: SnapshotApplication,
        exchange: GreylistExchangeServer,
        served: ASGIApp,
    ) -> None:
        self._application = application
        self._exchange = exchange
        self._server = HttpServer(served, BOUNDS, name="snapshots", names_users=True)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on sockets that listen."""
        await self._server.start(sockets)

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks that the server cannot run without."""
        return self._server.tasks

    async def drain(self, grace: float) -> None:
        """Answer the waiting requests, and accept no new ones."""
        self._application.end()
        self._exchange.end()
        await self._server.drain(grace)


def snapshot_server(
    database: Database, rules: Callable[[], SnapshotRules], journal: MailJournal
) -> SnapshotServer:
    """Return the server, not yet started, which also takes records and reports.

    Call this in the event loop.
    """

    def inputs() -> SnapshotInputs:
        in_use = rules()
        terms = LookupTerms(int(time.time()), in_use.settings.recipient_delimiter)
        return SnapshotInputs(terms, in_use.seal)

    shelf = SnapshotShelf(database, inputs)
    application = SnapshotApplication(shelf, lambda: rules().tokens)

    def tokens() -> Tokens:
        return rules().tokens

    reports = ReportIntake(database, tokens, application)
    exchange = GreylistExchangeServer(database, tokens, reports)
    return SnapshotServer(application, exchange, JournalIntake(journal, tokens, exchange))
