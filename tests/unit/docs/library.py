"""Runs the examples of docs/library.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "library.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def examples() -> list[tuple[str, str | None]]:
    """Each example of the page, with what it prints where the page shows that."""
    text = PAGE.read_text(encoding="utf-8")
    return [(match[1], match[2]) for match in _BLOCK.finditer(text)]


def run(wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Run the examples whose code is wanted, in one namespace, and return it.

    `printed` in it is a list of what was printed and what the page shows, for each of them.
    """
    namespace: dict[str, Any] = {}
    printed: list[tuple[str, str | None]] = []
    for code, shown in examples():
        if wanted(code):
            with redirect_stdout(StringIO()) as output:
                exec(compile(code, str(PAGE), "exec"), namespace)  # noqa: S102 # our own page
            printed.append((_plain(output.getvalue()), None if shown is None else _plain(shown)))
    namespace["printed"] = printed
    return namespace


def _plain(text: str) -> str:
    """The lines of a text without what ends them."""
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()
