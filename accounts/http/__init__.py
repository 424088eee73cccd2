"""REST API: HTTP and JSON for the operations of `accounts.directory`.

`application()` makes the ASGI application from the table of operations in
`accounts.http.resources`; `accounts.http.server` serves it. Roles and scopes are checked in one
place, `accounts.http.access`.
"""
