"""Names of classes and types: each has one meaning in the libraries and in the two mail daemons."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("msgauth", "gatepost", "milters", "policyd", "accounts", "delivery")


def defined(source: str) -> Iterator[str]:
    """Yield the public classes and type aliases that a module defines, but not its constants."""
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(name=name):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if not name[0].isupper() or name.isupper():
                    continue
            case _:
                continue
        if not name.startswith("_"):
            yield name


def test_no_class_shares_its_name_with_another() -> None:
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in defined(path.read_text()):
                homes[name].append(str(path.relative_to(ROOT)))
    assert len(homes) > 300
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_constants_and_private_names_are_left_out() -> None:
    source = "LIMIT = 1\nlog = 2\n_Own = int\nTable = dict\nKey: object = str\nclass Rule: pass\n"
    assert list(defined(source)) == ["Table", "Key", "Rule"]
