"""Generator of the table of public names in docs/library.md, from the docstrings of msgauth."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path

import msgauth

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/library.md"

BEGIN, END = "<!-- names -->\n", "<!-- end of names -->\n"


def docstring(name: str) -> str:
    """Return the docstring of a public name; for a constant or type, the string after it."""
    value = getattr(msgauth, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return inspect.cleandoc(value.__doc__ or "")
    for path in sorted((ROOT / "msgauth").rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, following in pairwise(body):
            match statement, following:
                case (
                    ast.Assign(targets=[ast.Name(id=assigned)])
                    | ast.AnnAssign(target=ast.Name(id=assigned)),
                    ast.Expr(value=ast.Constant(value=str() as text)),
                ) if assigned == name:
                    return inspect.cleandoc(text)
    return ""


def first_sentence(text: str) -> str:
    """Return the first sentence of a docstring on one line, for a table."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    match = re.match(r".*?[.?](?=\s|\Z)", paragraph)
    return (match[0] if match else paragraph).replace("|", "\\|")


def table() -> str:
    """Return the table of names by kind, in Markdown."""
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Constants and types": []}
    for name in msgauth.__all__:
        value = getattr(msgauth, name)
        if inspect.isfunction(value):
            kinds["Functions"].append(name)
        elif inspect.isclass(value):
            kinds["Classes"].append(name)
        else:
            kinds["Constants and types"].append(name)
    lines = []
    for heading, names in kinds.items():
        lines += ["", f"| {heading} | |", "|---|---|"]
        lines += [f"| `{name}` | {first_sentence(docstring(name))} |" for name in names]
    return "\n".join(lines) + "\n\n"


def page() -> str:
    """Return the page with the new table."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
