"""HTTP server for Dovecot in the daemon, with the datastore and the rules in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from accounts.directory import moves
from accounts.dovecot.application import ServingRules, dovecot_application, log
from accounts.dovecot.questions import DovecotQuestions
from accounts.http.server import HttpBounds, HttpServer
from accounts.login import Login
from accounts.passwords import Password
from accounts.settings import AccountsSettings
from accounts.store.database import Database
from accounts.store.errors import DatastoreUnavailable

MAX_HEAD: Final = 8192
"""Octets of the head of a request: its line and its fields."""


def dovecot_server(
    database: Database,
    settings: AccountsSettings,
    rules: Callable[[], ServingRules],
    succeeded: Callable[[Login, Password], None],
) -> HttpServer:
    """Return the server, not yet started, with the bounds of `settings`."""
    bounds = HttpBounds(
        request_timeout=settings.request_timeout,
        idle_timeout=settings.idle_timeout,
        max_head=MAX_HEAD,
        max_connections=settings.max_connections,
    )

    async def is_moving(address: str, store: str) -> bool:
        try:
            return await database.read(lambda c: moves.is_between(c, address, store))
        except DatastoreUnavailable:
            return False

    questions = DovecotQuestions(rules, succeeded, log, is_moving=is_moving)
    return HttpServer(dovecot_application(database, rules, questions), bounds, name="dovecot")
