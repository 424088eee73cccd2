"""Nightly training of the spam filter: it reads mail by IMAP, and teaches the learning service."""
