"""Mail stores of mailboxes from accounts: the snapshot `stores`.

It has ``name:ADDRESS`` with the name of the store, for each mailbox that has one.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatepost.snapshots.form import SnapshotData, SnapshotError

STORES = "stores"
"""The name of the snapshot."""


class MailStores:
    """Stores in use in this process; before the first snapshot, no mailbox has one."""

    def __init__(self) -> None:
        self._used: SnapshotData | None = None

    def take(self, snapshot: SnapshotData) -> None:
        """Take a snapshot into use."""
        self._used = snapshot

    @property
    def is_known(self) -> bool:
        """Return whether a snapshot is in use."""
        return self._used is not None

    def find(self, names: Iterable[str]) -> str | None:
        """Return the store of the first of these mailboxes that has one."""
        if self._used is not None:
            for name in names:
                if isinstance(found := self._used.get(f"name:{name}"), str):
                    return found
        return None


def check_stores(snapshot: SnapshotData) -> None:
    """Raise `SnapshotError` unless all records have the form that this module reads."""
    for key, value in snapshot.items():
        if not key.startswith("name:") or not isinstance(value, str) or not value:
            raise SnapshotError(f"the record of {key[:80]!a} is malformed")
