"""The tests that docs/security.md names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[^`:]+\.py)::(\w+)`", PAGE)
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
HEAD = "| what an attacker can try | what stops it | test that shows it |"


def test_every_test_is_there() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in NAMED
        if not re.search(rf"^(?:async )?def {name}\(", _text(path), re.MULTILINE)
    ]
    assert not missing


def test_every_row_names_a_test() -> None:
    rows = [row for row in ROWS if row != HEAD]
    assert rows
    assert not [row for row in rows if "::test_" not in row.rpartition(" | ")[2]]
    assert all(row.count(" | ") == 2 for row in ROWS)


def test_every_name_is_written_in_full() -> None:
    assert len(NAMED) == PAGE.count("::test_")


def _text(path: str) -> str:
    file = ROOT / path
    return file.read_text() if file.is_file() else ""
