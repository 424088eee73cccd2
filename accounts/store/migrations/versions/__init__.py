"""A file for each revision; `accounts.store.revisions` lists them in their order."""
