"""Backups of accounts: its database, and the mail that Dovecot keeps for its mailboxes."""
