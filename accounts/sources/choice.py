"""The source of look-ups for a database of the configuration."""

from __future__ import annotations

from accounts.sources.postgres import TIMEOUT, PostgresSource, connect_arguments
from accounts.sources.sqlite import SqliteSource
from accounts.store.settings import DatabaseSettings


def make_source(settings: DatabaseSettings) -> SqliteSource | PostgresSource:
    """Return the source; one of PostgreSQL has to be started in the event loop that asks it."""
    if settings.path is not None:
        return SqliteSource(settings.path)
    secret = settings.password_file
    return PostgresSource(
        connect_arguments(settings.url),
        password=(lambda: None) if secret is None else secret.read_text,
        timeout=min(settings.timeout, TIMEOUT),
    )
