"""Revisions, one in each file; `accounts.store.revisions` lists them in their order."""
