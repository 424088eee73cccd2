"""Report of the demonstration, without I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tools.demo.record import Record
from tools.demo.scene import Scene

MIN_WIDTH, MAX_WIDTH = 80, 120
"""Bounds of the table's width in columns, for readability."""

_HEADINGS = ("#", "scene", "mail sent", "reply from Postfix", "mail delivered", "")
_SHARES = (0.183, 0.243, 0.319, 0.258)
"""Share of each text column in the width between number and mark. In a table of 80 columns,
`bl.gatepost.test`, `<bob@gatepost.test>:` and `mx.gatepost.test;` just fit."""

_GAP = "  "
_GREEN, _RED, _DIM, _BOLD, _PLAIN = "\033[32m", "\033[31m", "\033[2m", "\033[1m", "\033[0m"


def table(played: Sequence[tuple[Scene, Record]], width: int, *, colour: bool = False) -> str:
    """Return the table: a row for each scene, folded into columns, `width` kept within bounds."""
    width = min(max(width, MIN_WIDTH), MAX_WIDTH)
    room = width - 2 - 2 - len(_GAP) * 5
    columns = (2, *(int(room * share) for share in _SHARES), 2)
    lines = [
        _paint("".join(_row(_HEADINGS, columns)), _BOLD, colour),
        _paint("─" * width, _DIM, colour),
    ]
    for scene, record in played:
        cells = (
            str(scene.number),
            scene.title,
            record.sent,
            record.answered,
            record.arrived,
            "ok" if record.ok else "NO",
        )
        row = _row(cells, columns)
        # only the mark at the end of the first line is coloured
        first = row[0][: -len(cells[-1])] if row[0].endswith(cells[-1]) else row[0]
        lines.append(first + _paint(cells[-1], _GREEN if record.ok else _RED, colour))
        lines += row[1:]
        lines.append(_paint("─" * width, _DIM, colour))
    return "\n".join(lines)


def _row(cells: Sequence[str], columns: Sequence[int]) -> list[str]:
    wrapped = [
        [part for line in cell.split("\n") for part in textwrap.wrap(line, width) or [""]]
        for cell, width in zip(cells, columns, strict=True)
    ]
    height = max(len(lines) for lines in wrapped)
    rows = []
    for number in range(height):
        parts = [
            (lines[number] if number < len(lines) else "").ljust(width)
            for lines, width in zip(wrapped, columns, strict=True)
        ]
        rows.append(_GAP.join(parts).rstrip())
    return rows


def problems(played: Sequence[tuple[Scene, Record]]) -> str:
    """Return the expected and actual results of failed scenes; empty if none failed."""
    lines = []
    for scene, record in played:
        for problem in record.problems:
            lines += [
                f"scene {scene.number}, {scene.title}: {problem.what}",
                f"    expected  {_indented(problem.expected)}",
                f"    seen      {_indented(problem.seen)}",
            ]
    return "\n".join(lines)


def _indented(text: str) -> str:
    return text.replace("\n", "\n              ")


def verdict(played: Sequence[tuple[Scene, Record]], seconds: float) -> str:
    """Return the last line."""
    good = sum(record.ok for _, record in played)
    if good == len(played):
        return f"All {good} scenes went as expected ({seconds:.1f} s)."
    return f"{len(played) - good} of {len(played)} scenes did NOT go as expected."


def by_hand(played: Sequence[tuple[Scene, Record]], addresses: Sequence[tuple[str, str]]) -> str:
    """Return the addresses and command lines that ``KEEP=1`` prints."""
    width = max(len(name) for name, _ in addresses)
    lines = ["Everything is still running. Use it from another terminal:", ""]
    lines += [f"  {name:<{width}}  {address}" for name, address in addresses]
    for scene, record in played:
        lines += ["", f"  # {scene.number}. {scene.title}"]
        lines += [f"  {command}" for command in record.commands]
    return "\n".join(lines)


def _paint(text: str, colour: str, wanted: bool) -> str:
    return f"{colour}{text}{_PLAIN}" if wanted and text else text
