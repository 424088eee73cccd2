"""Lists in files that an administrator writes: an entry a line, and comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.files import open_regular

MAX_FILE = 64 << 20
"""Bytes of a list that are read: a million entries of 64 bytes."""
MAX_LINE = 64 << 10
"""Characters of a line: room for a sender with a thousand owners, and no regex without end."""

BLANKS = " \t\n\v\f\r"
"""White space to Perl, for bytes."""


class ListFileError(ValueError):
    """A list cannot be read; the message says which, and why."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line that is not empty, and its text without the comment.

    ``#`` begins a comment. White space stays at the beginning of a line; a byte order mark does
    not. A file whose name ends in ``.local`` may be missing, as with postgrey. Raises
    `ListFileError`.
    """
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        if path.name.endswith(".local"):
            return
        raise ListFileError(f"{path}: does not exist") from None
    except OSError as error:
        raise ListFileError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE:
        raise ListFileError(f"{path}: larger than {MAX_FILE} bytes")
    for number, line in enumerate(raw.decode("utf-8-sig", "backslashreplace").split("\n"), 1):
        if len(line) > MAX_LINE:
            raise ListFileError(f"{path}:{number}: longer than {MAX_LINE} characters")
        if text := line.partition("#")[0].rstrip(BLANKS):
            yield number, text
