"""Databases of PostgreSQL for tests of the datastore: one with the tables is used again."""

from __future__ import annotations

from accounts.store import migrate
from accounts.store.revisions import REVISIONS, VERSION_TABLE
from accounts.store.schema import metadata
from accounts.store.settings import DatabaseSettings
from tests.testbed.postgres import PostgresServer

MIGRATED = "migrated"
"""The database that has the tables. A copy of it takes 8 MB, and a test has no use for two."""

# neither triggers nor foreign keys count for this session
_EMPTY = "; ".join(
    (
        "SET session_replication_role = replica",
        *(f"DELETE FROM {table}" for table in metadata.tables),  # noqa: S608
        "INSERT INTO state (id, generation) VALUES (1, 0)",
        f"UPDATE {VERSION_TABLE} SET version_num = '{REVISIONS[-1]}'",  # noqa: S608
    )
)


def make(server: PostgresServer, *, migrated: bool = True) -> DatabaseSettings:
    """Return a database without any data: the one with the tables, or a new one without."""
    if not migrated:
        return DatabaseSettings(url=server.new_database())
    settings = DatabaseSettings(url=server.url(MIGRATED))
    if server.has_database(MIGRATED):
        server.sql(_EMPTY, database=MIGRATED)
    else:
        server.new_database(MIGRATED)
        migrate.upgrade(settings)
    return settings
