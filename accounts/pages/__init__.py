"""Web pages of accounts: HTML for people, on top of the operations of the API.

`accounts.pages.application` makes the ASGI application from the table of pages in
`accounts.pages.table`. A page never reads or writes the datastore by itself: it does operations of
`accounts.http`, which check roles and objects. Sessions are the exception (`sessions.py`).
"""
