"""Rules that answer the mail programs, without a clock and without a database.

A rule is a generator (`accounts.lookup.ask.RowLookup`): it yields questions about rows and is sent
the answers. `accounts.answers` runs it with a database, a test with a dictionary.
"""
