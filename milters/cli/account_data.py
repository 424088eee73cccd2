"""Data from accounts that a running milter has kept on disk, for the commands."""

from __future__ import annotations

from gatepost.cli.as_owner import as_owner_of
from gatepost.snapshots import disk
from gatepost.snapshots.form import SnapshotData, SnapshotError
from gatepost.snapshots.settings import AccountsSource


class NoAccountDataError(Exception):
    """There are no usable data; the message is one line that says why."""


def read_kept(source: AccountsSource, name: str) -> SnapshotData:
    """Return a snapshot as the milter last stored it; raises `NoAccountDataError`.

    Root reads it as its owner, because nobody else may.
    """
    folder = source.folder
    try:
        with as_owner_of(folder / f"{name}.snapshot"):
            snapshot = disk.load(folder, name)
    except (SnapshotError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NoAccountDataError(f"{name} from accounts in {folder}: {reason}") from None
    if snapshot is None:
        raise NoAccountDataError(
            f"{name} from accounts: the milter has not stored them in {folder} yet"
        )
    return snapshot
