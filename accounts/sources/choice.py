"""Choice of the source of look-ups for the configured database."""

from __future__ import annotations

from typing import Protocol

from accounts.sources.source import Source
from accounts.sources.sqlite import SqliteSource
from accounts.store.settings import DatabaseSettings


class StartedSource(Source, Protocol):
    """A source that is started in the event loop that uses it."""

    def start(self) -> None:
        """Start to connect."""
        ...


def make_source(settings: DatabaseSettings) -> StartedSource:
    """Return the source for the configured database."""
    if settings.path is not None:
        return SqliteSource(settings.path)
    # imported here, because its driver takes memory
    from accounts.sources.postgres import TIMEOUT, PostgresSource, connect_arguments

    secret = settings.password_file
    return PostgresSource(
        connect_arguments(settings.url),
        password=(lambda: None) if secret is None else secret.read_text,
        timeout=min(settings.timeout, TIMEOUT),
    )
