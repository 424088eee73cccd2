"""The lock has every package that pyproject.toml asks for, in a version it allows."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.install import PURPOSES, included

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = {
    "run": PROJECT["project"]["dependencies"],
    **PROJECT["project"]["optional-dependencies"],
    **PROJECT["dependency-groups"],
}


def locked(text: str) -> dict[str, list[str]]:
    """The lines of the lock by heading; ``run`` is what the daemons themselves need."""
    groups: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if heading := re.match(r"## (\w+)", line):
            current = groups.setdefault(heading[1], [])
        elif line and not line.startswith("#"):
            current.append(line)
    return groups


LOCK = locked((ROOT / "constraints.txt").read_text())


def pins() -> dict[str, Version]:
    found: dict[str, Version] = {}
    for line in (line for lines in LOCK.values() for line in lines):
        requirement = Requirement(line)
        (only,) = requirement.specifier
        assert only.operator == "=="
        found[canonicalize_name(requirement.name)] = Version(only.version)
    return found


def test_the_lock_has_the_groups_of_the_project_each_package_once() -> None:
    assert list(LOCK) == list(GROUPS)
    assert len(pins()) == sum(len(lines) for lines in LOCK.values())


REQUIREMENTS = [line for lines in GROUPS.values() for line in lines if isinstance(line, str)]


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_what_the_project_asks_for_is_locked(line: str) -> None:
    requirement = Requirement(line)
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_purpose_names_groups_that_there_are(purpose: str) -> None:
    assert set(PURPOSES[purpose][1]) <= set(PROJECT["dependency-groups"])


def test_a_group_brings_those_that_it_includes_which_stand_above_it() -> None:
    groups = PROJECT["dependency-groups"]
    assert included(groups, ["test"]) == ["test", "testbed", "unit"]
    assert included(groups, ["testbed", "lint"]) == ["lint", "testbed"]
    order = list(groups)
    for name in groups:
        assert all(order.index(other) <= order.index(name) for other in included(groups, [name]))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_who_has_a_compiler_gets_what_must_be_compiled(purpose: str) -> None:
    brings_pymilter = "test" in included(PROJECT["dependency-groups"], PURPOSES[purpose][1])
    packages = set(PURPOSES[purpose][0])
    assert brings_pymilter is (purpose in ("test", "fuzz"))
    assert not brings_pymilter or {"gcc", "python3-dev", "libmilter-dev"} <= packages
