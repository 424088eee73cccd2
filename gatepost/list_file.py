"""Reader of list files: one entry per line, with comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.files import open_regular

MAX_FILE = 64 << 20
"""Maximum size of a list in bytes: a million entries of 64 bytes."""
MAX_LINE = 64 << 10
"""Maximum characters of a line: enough for a sender with a thousand owners, and a bound for regular
expressions."""

BLANKS = " \t\n\v\f\r"
"""The characters that Perl treats as white space in bytes."""


class ListFileError(ValueError):
    """A list cannot be read; the message says which one and why."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that is not empty, without its comment.

    ``#`` starts a comment. White space at the beginning of a line is kept; a byte order mark is
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
