"""What the service itself reads and writes beside look-ups: changes of accounts, uses of logins.

`sqlite` does it in plain SQL, so that a service without the API has no SQLAlchemy in its memory;
`stored` does it through the datastore that the API has open anyway, or that is a server.
"""
