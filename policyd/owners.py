"""Which login may send as which address: tables as Postfix's smtpd_sender_login_maps have them.

One sender a line and the logins that own it behind it, separated by blanks or commas::

    alice@example.org    alice
    info@example.org     alice, bob
    @example.net         carol

``@example.net`` is every address of the domain that has no line of its own; an extension
(``alice+lists@…``) belongs to the address without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from policyd.match import MatchError, read_entries


class OwnerTable:
    """Senders and their owners."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._owners: dict[str, frozenset[str]] = {}
        for line in lines:
            self.add(line)

    def add(self, line: str) -> None:
        """Add the owners of one sender; raises `MatchError`."""
        sender, *logins = line.replace(",", " ").split()
        if "@" not in sender or not logins:
            raise MatchError(
                f"{line!r} is no owner: write user@domain or @domain, and the logins behind it"
            )
        key = sender.lower()
        self._owners[key] = self._owners.get(key, frozenset()) | {name.lower() for name in logins}

    def __bool__(self) -> bool:
        return bool(self._owners)

    def owners(self, sender: str) -> frozenset[str] | None:
        """The logins that own a sender, in lower case; None when the table does not know it."""
        lower = sender.lower()
        user, _, domain = lower.rpartition("@")
        for key in (lower, f"{user.partition('+')[0]}@{domain}", f"@{domain}"):
            if (found := self._owners.get(key)) is not None:
                return found
        return None


def read_owners(path: Path, table: OwnerTable) -> None:
    """Add the lines of a file; raises `MatchError` with file and line."""
    for number, line in read_entries(path):
        try:
            table.add(line)
        except MatchError as error:
            raise MatchError(f"{path}:{number}: {error}") from None
