"""Domains, mailboxes, aliases, filters and keys in one datastore, and the service that answers."""
