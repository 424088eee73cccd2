"""Access to the files that the import reads besides opendkim.conf; tests replace it."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from milters.keys.errors import KeysError
from milters.keys.files import read_key
from milters.keys.tables.lines import read_file


class Files:
    """The files of this machine."""

    def read(self, path: Path) -> str:
        """Return the text of a file; raises `OpendkimError`."""
        return read_file(path)

    def find(self, pattern: str) -> Iterator[str]:
        """Yield the files that match a pattern of `glob`."""
        return glob.iglob(pattern)

    def key_problem(self, path: Path) -> str:
        """Return why this user cannot use a key file; empty if it can."""
        try:
            read_key(path)
        except KeysError as error:
            return str(error)
        return ""
