"""Reader of the lines of opendkim's files: comments, blank lines, limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gatepost.files import open_regular
from milters.keys.tables.errors import OpendkimError, Place

MAX_FILE = 16 << 20
"""Maximum octets of one file: a table of some hundred thousand lines."""

MAX_LINES = 200_000
"""Maximum lines with content in one file."""

MAX_LINE = 4096
"""Maximum characters of one line; opendkim itself has buffers of 1024 to 2048."""


def read_file(path: Path) -> str:
    """Return the text of a file; raises `OpendkimError`. Octets that are not UTF-8 are
    preserved."""
    place = Place(str(path))
    try:
        with open_regular(path) as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise OpendkimError(place, f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE:
        raise OpendkimError(place, f"larger than {MAX_FILE} octets")
    return raw.decode("utf-8", "surrogateescape")


def content(text: str, file: str) -> Iterator[tuple[Place, str]]:
    """Yield each non-empty line without comment and surrounding space.

    A ``#`` begins a comment anywhere, even inside a word, as in opendkim. Raises `OpendkimError`.
    """
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.partition("#")[0].strip()
        if not bare:
            continue
        place = Place(file, number)
        if len(bare) > MAX_LINE:
            raise OpendkimError(place, f"the line has more than {MAX_LINE} characters")
        if "\0" in bare:
            raise OpendkimError(place, "the line has a NUL octet")
        count += 1
        if count > MAX_LINES:
            raise OpendkimError(place, f"there are more than {MAX_LINES} lines")
        yield place, bare
