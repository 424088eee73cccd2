"""Migrations of the datastore, run by Alembic: see `accounts.store.migrate`."""
