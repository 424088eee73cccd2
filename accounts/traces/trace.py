"""Interface of the traces of logins and of changes, for every database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

ACTIONS: Final = ("mailbox.add", "mailbox.change", "mailbox.rename", "app-password.add")
"""Actions after which a wrong password may have become right."""
AT_ONCE: Final = 1000
"""Maximum number of entries of the audit log that are read at once."""


@dataclass(frozen=True, slots=True)
class LoginTraces:
    """Effects of logins to be written; times are in seconds since the epoch."""

    logins: Mapping[str, int] = field(default_factory=dict)
    """The time of the last login, by the address of the mailbox."""
    app_passwords: Mapping[int, tuple[int, str | None]] = field(default_factory=dict)
    """The time and the client of the last use, by the id of the app password."""
    hashed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By the address of the mailbox: the old hash of its password, and a stronger one."""

    def __bool__(self) -> bool:
        return bool(self.logins or self.app_passwords or self.hashed)


class Traces(Protocol):
    """Traces in a database. All methods but `close` raise `DatastoreUnavailable`."""

    @property
    def generation(self) -> int:
        """The latest generation that was seen."""
        ...

    async def wait_for_change(self, after: int, timeout: float) -> int:
        """Return the generation as soon as it is not `after`, or after `timeout` seconds."""
        ...

    async def last_change(self) -> int:
        """Return the number of the last entry in the audit log, or 0 if it is empty."""
        ...

    async def changes(self, after: int) -> list[tuple[int, str]]:
        """Return number and account of the next `AT_ONCE` entries of `ACTIONS` after one."""
        ...

    async def note(self, traces: LoginTraces) -> list[str]:
        """Write the effects of logins; returns the mailboxes that have a new hash.

        A password that was changed meanwhile keeps its hash. This is not a change of the data: it
        is not audited, and the generation stays.
        """
        ...

    async def close(self) -> None:
        """Finish the work in progress and close the database."""
        ...
