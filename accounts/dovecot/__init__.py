"""Services for Dovecot: answers about passwords and mailboxes, rules for new mail, and the end of
sessions that lost their rights."""
