"""Exceptions from the greylist, from accounts: the snapshot `greylist`.

It has ``exception:NUMBER`` for each one: `kind` is ``client`` or ``sender``, `pattern` what has to
match, and `domain` that of the recipients, or null for all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gatepost.snapshots.form import SnapshotData, SnapshotError

GREYLIST: Final = "greylist"
"""The name of the snapshot."""
_KINDS: Final = ("client", "sender")


class ExceptionRecord(NamedTuple):
    """An exception as the snapshot has it."""

    kind: str
    pattern: str
    domain: str | None


def read_exceptions(snapshot: SnapshotData) -> list[ExceptionRecord]:
    """Return the exceptions; raises `SnapshotError` for a record of another form."""
    found = []
    for key, value in snapshot.items():
        if not key.startswith("exception:") or not isinstance(value, dict):
            raise SnapshotError(f"the record of {key[:80]!a} is malformed")
        kind, pattern, domain = value.get("kind"), value.get("pattern"), value.get("domain")
        if kind not in _KINDS or not isinstance(pattern, str):
            raise SnapshotError(f"the record of {key[:80]!a} is malformed")
        if domain is not None and not isinstance(domain, str):
            raise SnapshotError(f"the record of {key[:80]!a} is malformed")
        found.append(ExceptionRecord(kind, pattern, domain))
    return found
