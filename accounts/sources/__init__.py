"""Databases for look-ups: plain SQL on read-only connections.

`sqlite` answers immediately, in the thread of the event loop; `postgres` puts all waiting questions
into one query. `cache` keeps the answers for the time while a database is away.
"""
