"""Lines of the keys in a TOML file, so that an error can name the line.

The standard library's parser does not report them. This scanner only sees text that `tomllib` has
already accepted, so it only needs to find keys and brackets, not to validate them.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ASSIGN = re.compile(rf"\s*({_DOTTED})\s*=")
_ONE_KEY = re.compile(_KEY)
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''.*?'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(
        key[1:-1] if key[0] in "\"'" else key
        for key in (m.group(0) for m in _ONE_KEY.finditer(dotted))
    )


def _end_of_value(text: str, start: int) -> int:
    """Return the offset of the line end after the value that begins at `start`."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        word = token.group(0)
        if word in "[{":
            depth += 1
        elif word in "]}":
            depth -= 1
        elif word == "\n" and depth == 0:
            return token.start()
    return len(text)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return every key path of the file with the line (from 1) on which it is set.

    Elements of an array of tables are counted from 0 in their path. Keys inside inline tables and
    arrays are not listed; `line_of` returns the line of the enclosing key for them.
    """
    lines: dict[KeyPath, int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: KeyPath = ()
    at = 0
    line = 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if header := _TABLE.match(text, at, end):
            keys = _split(header[2])
            if header[1] == "[[":
                counts[keys] = counts.get(keys, -1) + 1
            table = _with_indices(keys, counts)
            lines.setdefault(table, line)
        elif assign := _ASSIGN.match(text, at, end):
            lines.setdefault(table + _split(assign[1]), line)
            end = _end_of_value(text, assign.end())
        line += text.count("\n", at, end) + 1
        at = end + 1
    return lines


def _with_indices(keys: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> KeyPath:
    path: list[str | int] = []
    for n, key in enumerate(keys, 1):
        path.append(key)
        if keys[:n] in counts:
            path.append(counts[keys[:n]])
    return tuple(path)


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of a key, or of the nearest enclosing key."""
    for n in range(len(path), 0, -1):
        if path[:n] in lines:
            return lines[path[:n]]
    below = [line for key, line in lines.items() if path and key[: len(path)] == path]
    return min(below, default=None)
