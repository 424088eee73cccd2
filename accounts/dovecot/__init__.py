"""Dovecot as a client: its questions about passwords and mailboxes, the rules for new mail, and the
end of sessions that may not go on."""
