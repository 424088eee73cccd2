"""Replacement of keys by new ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from milters.keys.errors import KeysError
from milters.keys.files import read_key
from milters.keys.folder import KeyFile
from milters.keys.state import OVERLAP, KeyState


def key_type(key: KeyFile) -> str:
    """Return the type of a key; empty if its file is no longer usable."""
    try:
        return read_key(key.path).type
    except KeysError:
        return ""


def replaced_by(new: Sequence[KeyFile], of_domain: Iterable[KeyFile]) -> list[KeyFile]:
    """Return the active keys that `new` ones replace: those of the same types.

    An unreadable key is replaced too: it signs nothing. Flat keys have no state to change.
    """
    names = {key.selector for key in new}
    types = {key_type(key) for key in new} | {""}
    folders = {key.path.parent for key in new}
    return [
        key
        for key in of_domain
        if key.state is KeyState.ACTIVE
        and key.selector not in names
        and key.path.parent in folders
        and key_type(key) in types
    ]


def time_to_wait(key: KeyFile, now: datetime) -> timedelta:
    """Return how long the record of a retired key must stay for mail in transit; zero or less if it
    need not."""
    since = key.life.since.get(KeyState.RETIRED) if key.life else None
    return OVERLAP if since is None else since + OVERLAP - now
