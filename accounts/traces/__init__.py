"""Traces: the uses of logins that the service writes, and the changes of accounts that it reads.

`sqlite` uses plain SQL, so that a service without the API does not load SQLAlchemy. `stored` uses
the datastore, which is open for the API anyway, or is a PostgreSQL server.
"""
