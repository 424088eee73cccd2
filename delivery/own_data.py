"""Choice of the data of the spam filter that a message is scanned with.

SpamAssassin has a folder for each user. Words that a user has taught count once there are enough of
them; until then those of the site do, which the administrator teaches.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from delivery.ledger import KnownSummaries
from delivery.user import OWN_FILES, SITE, SpamUser
from delivery.user_prefs import MARK

PREFERENCES: Final = "user_prefs"
"""The file with settings of a user."""

_SUMMARIES: Final = KnownSummaries()


def scan_user(users: Iterable[SpamUser], folder: Path, least: int) -> str:
    """Return the first of these users with data that count, else the site.

    `least` is the number of lessons of each class from which on those of a user count. There is
    always a user: a child of spamd that is told none has the data of the one before.
    """
    for user in users:
        if _counts(folder / user.folder, least):
            return str(user)
    return str(SITE)


def _counts(folder: Path, least: int) -> bool:
    if _has_foreign_preferences(folder):
        return True
    if not any(_has(folder, name) for name in OWN_FILES):
        return False
    # without a ledger, another program has taught: it knows why
    summary = _SUMMARIES.find(folder)
    return summary is None or summary.suffices(least)


def _has_foreign_preferences(folder: Path) -> bool:
    """Return whether somebody else than the proxy has written settings."""
    try:
        # spamd, which reads mail of strangers, can write here: a pipe would keep us waiting
        found = os.open(folder / PREFERENCES, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(found, "rb", buffering=0) as file:
            return file.read(len(MARK)) != MARK
    except FileNotFoundError:
        return False
    except OSError:
        return True  # spamd may be able to read what we cannot look at


def _has(folder: Path, name: str) -> bool:
    try:
        return (folder / name).exists()
    except OSError:
        return True  # spamd may be able to read what we cannot look at
