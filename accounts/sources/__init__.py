"""Databases as the look-ups read them: plain SQL on connections that only read.

`sqlite` answers at once, in the thread of the event loop; `postgres` puts the questions that wait
into one query. `cache` remembers the answers for the time that a database is away.
"""
