"""Interface of the traces of logins and of changes, for every database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

ACTIONS: Final = ("mailbox.add", "mailbox.change", "mailbox.rename", "app-password.add")
"""Actions after which a wrong password may have become right."""
RESTORED: Final = "database.restore"
"""The action of a restored backup, which replaces all data."""
AT_ONCE: Final = 1000
"""Maximum number of entries of the audit log that are read at once."""


class Mark(NamedTuple):
    """A change in the audit log; `id` is 0 for the time before the first one."""

    id: int = 0
    at: int = 0
    actor: str = ""
    action: str = ""
    object: str = ""


class AccountChanges(NamedTuple):
    """Accounts that have changed since a mark, and the mark of the last of these changes.

    `more`: there are further changes after it.
    """

    accounts: tuple[str, ...]
    mark: Mark
    more: bool


def read_changes(after: Mark, found: Sequence[Mark]) -> AccountChanges | None:
    """Return the changes after a mark; None if all data have been replaced since then.

    `found` are, in their order, the entry with the id of `after` and at most `AT_ONCE` later ones
    of `ACTIONS` and `RESTORED`. A restored backup has no such entry, another one, or one of its own
    action behind it.
    """
    rest = list(found)
    if after.id and (not rest or rest.pop(0) != after):
        return None
    if any(entry.action == RESTORED for entry in rest):
        return None
    mark = rest[-1] if rest else after
    return AccountChanges(tuple(entry.object for entry in rest), mark, len(rest) >= AT_ONCE)


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

    async def last_change(self) -> Mark:
        """Return the last change in the audit log."""
        ...

    async def changes(self, after: Mark) -> AccountChanges | None:
        """Return the next changes of accounts; None if all data were replaced since then."""
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
