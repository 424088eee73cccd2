"""Generator of docs/benchmarks.md from the JSON that ``make bench`` writes.

    python -m tools.bench.page .bench/results.json [ANOTHER.json] > docs/benchmarks.md

The text before the first run is in tools/bench/page.md. The page contains every table of each given
run with the medians of its rounds, and every target with its result, without any selection.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_HEAD = Path(__file__).with_suffix(".md")


def page(runs: Sequence[dict[str, Any]]) -> str:
    """Return the whole page."""
    lines = [line for number, run in enumerate(runs, 1) for line in _run(number, run)]
    return "\n".join((_HEAD.read_text(), *lines))


def _run(number: int, run: dict[str, Any]) -> Iterator[str]:
    environment = run["environment"]
    yield f"## Run {number}, {environment['date']}\n"
    yield ", ".join(f"{name} {value}" for name, value in environment.items() if name != "date")
    yield ""
    missed = [
        f"- {_target(target)} ({table['title']})"
        for table in run["tables"]
        for target in table["targets"]
        if not target["is_reached"]
    ]
    if missed:
        yield "Targets missed in this run:\n"
        yield from missed
        yield ""
    for table in run["tables"]:
        yield f"### {table['title']}\n"
        if table["rows"]:
            yield from _rows(table)
            yield ""
        yield from (f"- {_target(target)}" for target in table["targets"])
        yield from (f"- {note}" for note in table["notes"])
        yield ""
    if run["texts"]:
        yield from ("```text", *run["texts"], "```", "")
    yield from (f"- not measured: {failure}" for failure in run["failures"])


def _rows(table: dict[str, Any]) -> Iterator[str]:
    yield f"| | {table['unit']}/s | p50 ms | p99 ms | CPU ms | DNS | idle MiB | loaded MiB |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for row in table["rows"]:
        if row["failure"] or not row["samples"]:
            yield f"| {row['name']} | {row['failure'] or 'not measured'} | | | | | | |"
            continue
        figures = [
            _figure(statistics.median(sample[name] for sample in row["samples"]), digits)
            for name, digits in (("rate", 0), ("p50", 1), ("p99", 1), ("cpu", 3), ("questions", 1))
        ]
        figures += [_figure(row[name], 0) for name in ("idle_memory", "memory")]
        yield f"| {row['name']} | {' | '.join(figures)} |"


def _figure(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if value else "-"


def _target(target: dict[str, Any]) -> str:
    wanted = f"{'at most' if target['at_most'] else 'at least'} {target['wanted']:g}"
    mark = "reached" if target["is_reached"] else "**missed**"
    return f"{target['reached']:.2f} {target['text']} (wanted: {wanted}; {mark})"


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    print(page([json.loads(Path(name).read_text()) for name in sys.argv[1:]]), end="")
