"""Modules, names in modules and files that the pages, docstrings and comments name are there."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.docs.test_names import PAGES, ROOT, code, wrong_key

PACKAGES = ("accounts", "delivery", "gatepost", "milters", "msgauth", "policyd", "tests", "tools")
FOLDERS = (*PACKAGES, "docs", "images", "k8s", "systemd")
SUFFIXES = ("md", "toml", "db", "sqlite", "json", "x")
"""Of a file, such as ``gatepost.toml``; ``x`` stands for any name."""
_SPAN = re.compile(r"(`{1,2})([^`\n]+)\1")
_MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+\Z")
_PATH = re.compile(rf"(?<![\w./:~-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")


def remarks(path: Path) -> Iterator[str]:
    """Yield the docstrings and comments of a module."""
    with io.BytesIO(path.read_bytes()) as file:
        for token in tokenize.tokenize(file.readline):
            is_text = token.type == tokenize.STRING and token.string.endswith('"""')
            if is_text or token.type == tokenize.COMMENT:
                yield token.string


@cache
def names(path: Path) -> frozenset[str]:
    """Return the names that a module defines or imports, with members and strings of `__all__`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())) if path.is_file() else ():
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.alias(asname=None, name=name):
                found.add(name)
            case ast.alias(asname=str(name)) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
    return frozenset(found)


def is_key(name: str) -> bool:
    """Return whether this is a key of gatepost.toml."""
    has_form = re.fullmatch(r"(?:milters|policyd|delivery)[a-z_.]+", name) is not None
    return has_form and not wrong_key(name)


def wrong_module(name: str) -> str:
    """Return the complaint about a dotted name that is neither in a module nor a key."""
    if not _MODULE.match(name):
        return ""
    path, rest = ROOT, name.split(".")
    while rest and (path / rest[0]).is_dir():
        path /= rest.pop(0)
    if rest and (path / f"{rest[0]}.py").is_file():
        path /= f"{rest.pop(0)}.py"
    module = path if path.suffix else path / "__init__.py"
    if not rest or is_key(name) or rest[-1] in SUFFIXES:
        return ""
    # members may be those of a class that another module of the package defines
    members = frozenset().union(names(module), *map(names, path.glob("**/*.py")))
    return "" if rest[0] in names(module) and members.issuperset(rest) else name


def wrong_place(text: str) -> Iterator[str]:
    """Yield the files below a folder of the tree that are not there; NAME stands for any."""
    for name in _PATH.findall(text):
        there = (ROOT / name).exists() or (ROOT / f"{name}.py").exists()
        if not there and not re.search(r"[A-Z]{3}", name):
            yield name


@pytest.mark.parametrize("package", PACKAGES)
def test_remarks_name_what_is_there(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for remark in remarks(path):
            names = [name for _, name in _SPAN.findall(remark)]
            found = [*filter(None, map(wrong_module, names)), *wrong_place(remark)]
            wrong += [f"{path.relative_to(ROOT)}: {name}" for name in found]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_modules_that_are_there(page: Path) -> None:
    modules = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    spans = list(code(page.read_text()))
    assert [name for name in spans if wrong_module(name)] == []
    bare = [name for name in spans if re.fullmatch(r"\w+\.py", name)]
    assert [name for name in bare if name not in modules] == []


def test_the_map_has_every_package() -> None:
    """CONTRIBUTING says what each package is for and what it may import."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("| package |")[2].partition("\n\n")[0]
    for package in sorted(path.parent.name for path in ROOT.glob("*/__init__.py")):
        assert re.search(rf"\b{package}/", table), package


def test_what_is_not_there_is_found() -> None:
    assert wrong_module("gatepost.daemons.start")
    assert wrong_module("policyd.request.Reqest")
    assert wrong_module("milters.sing")
    assert not wrong_module("policyd.request.Request")
    assert not wrong_module("milters.sign.expiry")
    assert list(wrong_place("as in milters/protocols/stream.py, see")) == [
        "milters/protocols/stream.py"
    ]
    assert not list(wrong_place("unix:gatepost/milter, docs/flow.md and gatepost/dns"))
