"""Datastore of domains, mailboxes, aliases, filters and keys, and the service that serves it."""
