"""Migrations of the datastore, which Alembic runs: see `accounts.store.migrate`."""
