"""Datastore: its tables, transactions and migrations."""
