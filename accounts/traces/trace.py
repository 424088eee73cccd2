"""The traces of logins and of changes, whatever the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

ACTIONS: Final = ("mailbox.add", "mailbox.change", "mailbox.rename", "app-password.add")
"""Actions after which a password may be right that was wrong."""
AT_ONCE: Final = 1000
"""Entries of the audit log that are read at once."""


@dataclass(frozen=True, slots=True)
class LoginTraces:
    """Effects of logins that are to be written; times are in seconds since the epoch."""

    logins: Mapping[str, int] = field(default_factory=dict)
    """The time of the last login, by the address of the mailbox."""
    app_passwords: Mapping[int, tuple[int, str | None]] = field(default_factory=dict)
    """The time and the client of the last use, by the id of the app password."""
    hashed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By the address of the mailbox: the old hash of its password, and a better one of the same."""

    def __bool__(self) -> bool:
        return bool(self.logins or self.app_passwords or self.hashed)


class Traces(Protocol):
    """All methods but `close` raise `accounts.store.errors.DatastoreUnavailable`."""

    @property
    def generation(self) -> int:
        """The generation that was seen last."""
        ...

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds."""
        ...

    async def last_change(self) -> int:
        """Return the number of the last entry in the audit log, 0 when there is none."""
        ...

    async def changes(self, after: int) -> list[tuple[int, str]]:
        """Return the numbers and the accounts of the entries after one: `ACTIONS`, `AT_ONCE`."""
        ...

    async def note(self, traces: LoginTraces) -> list[str]:
        """Write the effects of logins; returns the mailboxes that have a new hash.

        A password that was changed meanwhile keeps its hash. It is no change of the data: it is not
        audited, and the generation stays.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
        ...
