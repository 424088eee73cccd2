"""What `make docs` writes is what stands in docs/."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from milters.reasons import reasons as milter_reasons
from policyd.reasons import REASONS as POLICY_REASONS

ROOT = Path(__file__).parents[3]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_cited_standard_is_claimed_and_every_claim_is_cited() -> None:
    rfcs = script("rfcs")
    claims = tomllib.loads((ROOT / "docs/rfcs.toml").read_text())
    cited = rfcs.citations()
    assert rfcs.check(claims, cited) == []
    assert (ROOT / "docs/rfcs.md").read_text() == rfcs.page(claims, cited)


def test_a_claim_that_nothing_obeys_is_found() -> None:
    rfcs = script("rfcs")
    claims = {"6376": {"title": "", "sections": {"99": {"what": "", "status": "yes"}}}}
    problems = rfcs.check(claims, {6376: {"3.5": ["a.py"]}, 1: {"": ["b.py"]}})
    assert problems == [
        "RFC 1 is cited in b.py but is not in docs/rfcs.toml",
        "RFC 6376 section 99 is claimed but not cited",
    ]


@pytest.mark.parametrize(
    ("source", "cited"),
    [
        ("# RFC 6376 section 3.7", [(6376, "3.7")]),
        ("# RFC 6376 sections 3.4.1, 3.4.2 and 5", [(6376, "3.4.1"), (6376, "3.4.2"), (6376, "5")]),
        ("# RFC 6376 section 5.4: From is signed; section 8.15", [(6376, "5.4")]),
        ("# RFC 6376 section 5.4; section 8.15", [(6376, "5.4"), (6376, "8.15")]),
        ("# RFC 7208 sections 4.4 to 7", [(7208, "4.4"), (7208, "7")]),
        ('"""Greylisting (RFC 6647): whether', [(6647, "")]),
        ("MD4 (RFC 1320)", [(1320, "")]),
        ("(RFC 8601\n    # section 5.1)", [(8601, "5.1")]),
        ("RFC 8617, section 5.", [(8617, "5")]),
    ],
)
def test_citations(source: str, cited: list[tuple[int, str]]) -> None:
    assert list(script("rfcs").cited_in(source)) == cited


def test_the_metrics_are_those_of_the_code() -> None:
    # in a process of its own: tests declare metrics too
    printed = subprocess.run(
        [sys.executable, "-c", "import metrics; print(metrics.page(metrics.declared()), end='')"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tools' / 'scripts'}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == (ROOT / "docs/reference/metrics.md").read_text()


def test_every_reason_id_of_the_code_is_explained() -> None:
    """What stands as a literal where a reason id does."""
    known = set(milter_reasons()) | set(POLICY_REASONS)
    found: dict[str, Path] = {}
    for package in ("milters", "policyd"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                for literal in _reason_literals(node):
                    found[literal] = path
    assert {reason: path for reason, path in found.items() if reason not in known} == {}
    assert "greylist-new" in found  # the search finds something
    assert (ROOT / "docs/reference/replies.md").read_text() == script("replies").page()


def _reason_literals(node: ast.AST) -> Iterator[str]:
    values: list[ast.expr] = []
    match node:
        case ast.Call(func=ast.Name(id="Reply")):
            values = [*node.args[3:4], *(key.value for key in node.keywords if key.arg == "reason")]
        case ast.Assign(targets=[ast.Name(id=name)]) if re.match(r"_?REASON(_|$)", name):
            values = [node.value]
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
