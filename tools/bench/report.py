"""Report of the results, as tables for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tools.bench.rounds import Row
from tools.steps import is_colourful

_GREEN, _YELLOW, _BOLD, _DIM, _PLAIN = "\033[32m", "\033[33m", "\033[1m", "\033[2m", "\033[0m"


@dataclass(frozen=True)
class Target:
    """A minimum or maximum for a figure, usually a ratio to a peer's figure."""

    text: str
    wanted: float
    reached: float
    at_most: bool = False

    @property
    def is_reached(self) -> bool:
        """Return whether the target is reached."""
        return self.reached <= self.wanted if self.at_most else self.reached >= self.wanted


@dataclass
class Table:
    """Servers that do the same work, counted in `unit`."""

    title: str
    rows: list[Row]
    unit: str = "messages"
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Report:
    """Collects tables and prints each when it is complete."""

    def __init__(self, stream: TextIO, environment: dict[str, str]) -> None:
        self._stream = stream
        self._environment = environment
        self._tables: list[Table] = []
        self._texts: list[str] = []
        self.failures: list[str] = []

    def add(self, table: Table) -> None:
        """Print a table and store it."""
        self._tables.append(table)
        width = max(len(row.name) for row in table.rows) + 2
        self._print("")
        self._print(self._in(_BOLD, table.title))
        head = f"{'':{width}}{table.unit + '/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}"
        self._print(self._in(_DIM, f"  {head}{'DNS':>7}{'idle MiB':>10}{'MiB':>7}"))
        for row in table.rows:
            self._print("  " + _line(row, width))
        for target in table.targets:
            self._print("  " + self._told(target))
        for note in table.notes:
            self._print(self._in(_DIM, f"  {note}"))

    def text(self, line: str) -> None:
        """Print a line of a table with other columns."""
        self._texts.append(line)
        self._print(line)

    def aim(self, title: str, *targets: Target) -> None:
        """Print targets that belong to no table of servers."""
        self._tables.append(Table(title, [], targets=list(targets)))
        for target in targets:
            self._print("  " + self._told(target))

    def fail(self, what: str) -> None:
        """Report a failure; the run continues."""
        self.failures.append(what)
        self._print(self._in(_YELLOW, f"  !! {what}"))

    def summary(self) -> None:
        """Print all targets again."""
        targets = [(table, target) for table in self._tables for target in table.targets]
        if not targets:
            return
        self._print("")
        self._print(self._in(_BOLD, "Targets"))
        for table, target in targets:
            self._print(f"  {self._told(target)}  {self._in(_DIM, table.title)}")

    def save(self, path: Path) -> None:
        """Write the JSON file."""
        told: dict[str, Any] = {
            "environment": self._environment,
            "tables": [_as_json(table) for table in self._tables],
            "texts": self._texts,
            "failures": self.failures,
        }
        path.write_text(json.dumps(told, indent=1) + "\n")
        self._print(f"\nAll figures of all rounds: {path}")

    def _told(self, target: Target) -> str:
        mark = "✓" if target.is_reached else "✗"
        wanted = f"{'at most' if target.at_most else 'at least'} {target.wanted:g}"
        text = f"{mark} {target.reached:6.2f} {target.text} (target: {wanted})"
        return self._in(_GREEN if target.is_reached else _YELLOW, text)

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if is_colourful(self._stream) else text

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _line(row: Row, width: int) -> str:
    if row.failure:
        return f"{row.name:{width}}{row.failure}"

    figures = [
        (row.median(name), digits, columns)
        for name, digits, columns in (
            ("rate", 0, 12), ("p50", 1, 9), ("p99", 1, 9), ("cpu", 3, 9), ("questions", 1, 7),
        )
    ]  # fmt: skip
    figures += [(row.idle_memory, 0, 10), (row.memory, 0, 7)]
    texts = (
        f"{value:{columns}.{digits}f}" if value else f"{'-':>{columns}}"
        for value, digits, columns in figures
    )
    return f"{row.name:{width}}{''.join(texts)}"


def _as_json(table: Table) -> dict[str, Any]:
    return {
        **asdict(table),
        "targets": [{**asdict(t), "is_reached": t.is_reached} for t in table.targets],
    }


def find(rows: Sequence[Row], name: str) -> Row | None:
    """Return the row of a measured server."""
    return next((row for row in rows if row.name == name and row.samples), None)
