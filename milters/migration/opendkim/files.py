"""What the import reads besides opendkim.conf; tests have files of their own."""

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
        """The text of a file; raises `OpendkimError`."""
        return read_file(path)

    def find(self, pattern: str) -> Iterator[str]:
        """The files that match a pattern of `glob`."""
        return glob.iglob(pattern)

    def key_problem(self, path: Path) -> str:
        """Why a key file cannot be used by this user; empty when it can."""
        try:
            read_key(path)
        except KeysError as error:
            return str(error)
        return ""
