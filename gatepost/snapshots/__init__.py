"""Snapshots: the data of `gatepost accounts` that the other daemons work with.

A daemon fetches them by long poll, keeps the last ones on disk, and works with these while accounts
is away, for any time. The modules of accounts that make them share `form` with this package.
"""
