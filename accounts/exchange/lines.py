"""Lines of a text file of another system."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import NamedTuple

from accounts.exchange.notes import SourceError, SourcePlace

MOST_LINES = 3_000_000
"""Lines of one file."""

LONGEST_LINE = 1 << 16
"""Characters of one line, with the lines that continue it."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Line(NamedTuple):
    """A line without its end, and where it starts."""

    text: str
    place: SourcePlace


def plain_lines(
    file: str, data: bytes, refuse: Callable[[SourcePlace, str], None]
) -> Iterator[Line]:
    """Yield the lines that are neither empty nor a comment.

    A comment is a line whose first character that is no blank is `#`. CR LF and a byte order mark
    are taken off. A line that is not UTF-8, has a NUL or is too long goes to `refuse` with the
    reason. Raises `SourceError` for UTF-16 and for more than `MOST_LINES` lines.
    """
    if data.startswith(_UTF16):
        raise SourceError(f"{file}: the file is in UTF-16; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.count(b"\n") > MOST_LINES:
        raise SourceError(f"{file}: the file has more than {MOST_LINES} lines")
    for number, raw in enumerate(data.split(b"\n"), 1):
        raw = raw.rstrip(b"\r")
        start = raw.lstrip()
        if not start or start.startswith(b"#"):
            continue
        place = SourcePlace(file, number)
        if b"\0" in raw:
            refuse(place, "the line contains a NUL")
        elif len(raw) > LONGEST_LINE:
            refuse(place, f"the line is longer than {LONGEST_LINE} octets")
        else:
            try:
                yield Line(raw.decode(), place)
            except UnicodeDecodeError:
                refuse(place, "the line is not UTF-8")


def logical_lines(
    file: str, data: bytes, refuse: Callable[[SourcePlace, str], None]
) -> Iterator[Line]:
    """Yield lines as Postfix reads them: a line that starts with a blank continues the one before.

    Comments and empty lines do not end a line (postconf(5), "general format").
    """
    parts: list[str] = []
    size = 0
    place = SourcePlace(file)
    broken = False

    def refused(where: SourcePlace, reason: str) -> None:
        nonlocal broken
        broken = True
        refuse(where, reason)

    for line in plain_lines(file, data, refused):
        continues = line.text[0] in " \t"
        if broken and continues:
            refuse(line.place, "the line continues a line that was left out")
            continue
        if continues and parts:
            parts.append(line.text)
            size += len(line.text)
            continue
        if parts:
            yield from _whole(parts, size, place, refuse)
        parts, size, place, broken = [line.text], len(line.text), line.place, False
    if parts:
        yield from _whole(parts, size, place, refuse)


def _whole(
    parts: list[str], size: int, place: SourcePlace, refuse: Callable[[SourcePlace, str], None]
) -> Iterator[Line]:
    if size > LONGEST_LINE:
        refuse(place, f"the line and those that continue it are longer than {LONGEST_LINE}")
    else:
        yield Line("".join(parts).strip(), place)
