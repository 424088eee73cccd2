"""Documents from which mail programs learn the servers of a domain, so that address and password
are enough.

`thunderbird`, `outlook` and `apple` write one form each, from `[accounts.autoconfig]`. They know no
database: no document says whether an address exists.
"""
