"""Traces: the uses of logins that the service writes, and the changes of accounts that it reads.

`sqlite` and `postgres` use plain SQL, so that a service without the API does not load SQLAlchemy.
`stored` uses a datastore of SQLite that is open for the API anyway.
"""
