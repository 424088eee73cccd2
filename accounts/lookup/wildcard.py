"""Aliases with patterns (see `gatepost.wildcard`): which are in force, and which one counts."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.lookup.ask import AliasRow
from gatepost.wildcard import matches


def choose(aliases: Iterable[AliasRow], local: str, now: int) -> AliasRow | None:
    """Return the alias in force with the most specific pattern for a local part, or None.

    The most specific pattern has the most characters apart from ``*``. Of equal ones, the first in
    alphabetical order is taken, so that all processes take the same one.
    """
    fitting = [
        alias
        for alias in aliases
        if is_in_force(alias, now) and matches(alias.address.rpartition("@")[0], local)
    ]
    return min(fitting, key=rank, default=None)


def is_in_force(alias: AliasRow, now: int) -> bool:
    """Return whether an alias is enabled and has not expired."""
    return alias.enabled and (alias.expires is None or now < alias.expires)


def rank(alias: AliasRow) -> tuple[int, str]:
    """Return the key that sorts aliases by pattern, the most specific first."""
    pattern = alias.address.rpartition("@")[0]
    return pattern.count("*") - len(pattern), alias.address
