"""Documents that tell mail programs the servers of a domain, so that users only enter their address
and password.

`thunderbird`, `outlook` and `apple` write one form each, from `[accounts.autoconfig]`. They know no
database: no document says whether an address exists.
"""
