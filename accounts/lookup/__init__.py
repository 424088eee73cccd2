"""Rules that answer what the mail programs ask, without a clock and without a database.

A rule is a generator (`accounts.lookup.ask.RowLookup`): it yields questions about rows and is
sent the answers. `accounts.answers` drives it with a database, a test with a dictionary.
"""
