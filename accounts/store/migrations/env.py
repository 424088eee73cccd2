"""Entry point for Alembic, which migrates on the connection of `accounts.store.migrate`."""

from __future__ import annotations

from alembic import context

from accounts.store.revisions import VERSION_TABLE
from accounts.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # also in SQLite, where BEGIN is explicit
)
context.run_migrations()
