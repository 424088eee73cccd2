"""Alembic's entry: migrates on the connection that `accounts.store.migrate` has opened."""

from __future__ import annotations

from alembic import context

from accounts.store.revisions import VERSION_TABLE
from accounts.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite's too, since we say BEGIN ourselves
)
context.run_migrations()
