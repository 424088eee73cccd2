"""Snapshots on disk, for a start without accounts."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gatepost.files import open_regular
from gatepost.folder import OpenFolder
from gatepost.snapshots.form import MAX_SIZE, SnapshotData, SnapshotError, parse

MODE = 0o600
FOLDER_MODE = 0o700


def save(folder: Path, snapshot: SnapshotData) -> None:
    """Write a snapshot, whole or not at all; raises `OSError`."""
    with OpenFolder.make(folder, FOLDER_MODE) as opened:
        opened.replace(_file(snapshot.name), snapshot.data, MODE)


def load(folder: Path, name: str) -> SnapshotData | None:
    """Read a snapshot; None if there is none.

    Raises `OSError`, and `SnapshotError` if it is damaged, or if other users may have written or
    read it.
    """
    path = folder / _file(name)
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (os.geteuid(), 0):
                raise SnapshotError(f"it belongs to uid {status.st_uid}, not to {os.geteuid()}")
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                mode = stat.S_IMODE(status.st_mode)
                raise SnapshotError(f"it is open to others (mode {mode:04o}, not {MODE:04o})")
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    return parse(data, name)


def _file(name: str) -> str:
    return f"{name}.snapshot"
