"""Layout of tables and lists of fields in 80 columns. Long cells continue below."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from gatepost.printable import escape

WIDTH = 80
"""Columns of a line."""

SAMPLE = 1000
"""Rows that determine the widths of columns: a list may have millions, and is never held in
full."""

_GAP = "  "
_LEAST = 10
"""Minimum columns of a cell if others need room."""


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with these headings, or nothing if there are no rows."""
    waiting = ([escape(cell) for cell in row] for row in rows)
    sample = list(islice(waiting, SAMPLE))
    if not sample:
        return
    natural = [max(map(columns, column)) for column in zip(heads, *sample, strict=True)]
    room = WIDTH - len(_GAP) * (len(heads) - 1)
    if len(sample) == SAMPLE and (spare := room - sum(natural)) > 0:
        # later rows may be wider
        natural = [width + spare // len(heads) for width in natural]
    words = [max(map(_longest_word, column)) for column in zip(heads, *sample, strict=True)]
    widths = _fitted(natural, words, room)
    for row in chain([heads], sample, waiting):
        yield from _row(row, widths)


def field_lines(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each field, with its name before it."""
    shown = [(escape(name), escape(value)) for name, value in pairs]
    width = max((columns(name) for name, _ in shown), default=0)
    for name, value in shown:
        yield from _row([name, value], [width, WIDTH - width - len(_GAP)])


def columns(text: str) -> int:
    """Return the number of columns of a text in a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "FW" else 1


def _fitted(natural: Sequence[int], words: Sequence[int], room: int) -> list[int]:
    """Return widths that fit together: the widest columns shrink first, and words are broken only
    if there is no other way."""
    widths = list(natural)
    for least in ([max(word, _LEAST) for word in words], [_LEAST] * len(words)):
        while sum(widths) > room:
            spare = [width if width > few else 0 for width, few in zip(widths, least, strict=True)]
            if not any(spare):
                break
            widths[spare.index(max(spare))] -= 1
    return widths


def _longest_word(text: str) -> int:
    return max(map(columns, text.split(" ")))


def _row(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    parts = [list(_wrapped(cell, width)) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, parts))):
        line = [
            _padded(part[number] if number < len(part) else "", width)
            for part, width in zip(parts, widths, strict=True)
        ]
        yield _GAP.join(line).rstrip()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a cell, broken at a space if there is one in the second half."""
    while columns(text) > width:
        end = _fitting(text, width)
        if (space := text.rfind(" ", end // 2, end + 1)) > 0:
            yield text[:space]
            text = text[space + 1 :]
        else:
            yield text[:end]
            text = text[end:]
    yield text


def _fitting(text: str, width: int) -> int:
    """Return the number of characters of a text that fit, at least one."""
    used = 0
    for number, char in enumerate(text):
        used += _width(char)
        if used > width:
            return max(number, 1)
    return len(text)
