"""Part that is one SQLite file of another program, such as webmail."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gatepost.backup.database import ActAsOwner, copy_database, put_back
from gatepost.backup.part import Saved


class SqlitePart:
    """`gatepost.backup.part.BackupPart` for the file `path`."""

    lists_itself: Final = False

    def __init__(self, name: str, path: Path, as_owner: ActAsOwner) -> None:
        self.name = name
        self._path = path
        self._as_owner = as_owner

    def save(self, new: Path, before: Path | None) -> Saved | None:  # noqa: ARG002
        """Copy the data of one moment; None if there is no file."""
        if not self._path.exists():
            return None
        copy = new / "database"
        copy_database(self._path, copy, self._as_owner)
        return Saved({"octet": copy.stat().st_size})

    def find_obstacle(self) -> str | None:
        """Return None: a program that has started has made its file."""
        return None

    def restore(self, saved: Path, scratch: Path) -> Saved:  # noqa: ARG002
        """Replace the data by those of the copy, while the program runs or not."""
        copy = saved / "database"
        put_back(copy, self._path, 0o600, self._as_owner)
        return Saved({"octet": copy.stat().st_size})
