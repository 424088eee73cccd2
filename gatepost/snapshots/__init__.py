"""Snapshots: data of `gatepost accounts` in the other daemons.

A daemon fetches them by long polling, keeps the latest ones on disk, and uses these while accounts
is away, for any length of time. The modules of accounts that make them share `form` with this
package.
"""
