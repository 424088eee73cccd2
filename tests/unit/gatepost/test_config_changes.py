"""Which keys of a changed configuration a daemon takes over at its next start alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import Field

from gatepost.cli.configuration import SECTIONS, whole
from gatepost.config import (
    AT_START,
    SecretPath,
    Section,
    files_read_at_start,
    keys_at_start,
    waiting_for_a_start,
)

ROOT = Path(__file__).parents[3]


class Door(Section):
    listen: str = Field(default="inet:1", json_schema_extra=AT_START, description="Where.")
    colour: str = Field(default="red", description="Which.")


class House(Section):
    door: Door = Field(default=Door(), description="The door.")
    roof: str = Field(default="flat", json_schema_extra=AT_START, description="The roof.")


def test_only_keys_that_are_read_at_the_start_wait_for_one() -> None:
    running = House()
    new = House(door=Door(listen="inet:2", colour="blue"), roof="steep")
    assert list(waiting_for_a_start(running, new, "house")) == ["house.door.listen", "house.roof"]
    repainted = House(door=Door(colour="blue"))
    assert list(waiting_for_a_start(running, repainted, "house")) == []


def test_the_keys_that_wait_for_a_start_are_those_in_the_list() -> None:
    assert list(keys_at_start(House, "house")) == ["house.door.listen", "house.roof"]


class Vault(Section):
    secret: SecretPath = Field(json_schema_extra=AT_START, description="Read at the start.")
    other: SecretPath = Field(description="Read again.")


def test_files_of_keys_that_are_read_at_the_start_are_known_by_their_keys() -> None:
    settings = Vault.model_validate({"secret": "/secret", "other": "/other"})
    assert dict(files_read_at_start(settings, "vault")) == {"vault.secret": Path("/secret")}


def _chain(node: ast.expr) -> list[str]:
    """Return the names of an attribute, ``a.b.c``; none if it begins with something else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


def _from_the_start(module: Path) -> Iterator[list[str]]:
    """Yield the keys that a module takes from the settings of the start, as lists of names."""
    starts = (["started", "settings"], ["self", "_settings"])
    nodes = list(ast.walk(ast.parse(module.read_text())))
    inner = [node.value for node in nodes if isinstance(node, ast.Attribute)]
    for node in nodes:
        names = _chain(node) if isinstance(node, ast.Attribute) and node not in inner else []
        for start in starts:
            if names[:2] == start and len(names) > 2:
                yield names[2:]


PASSED_ON = {
    "accounts.served": "the addresses of all keys that end in listen",
    "accounts.database.key_file": "read again by each build, which gets the new settings",
    "accounts.database.password_file": "read again at each connection",
}
"""Keys that a service takes from the start and that need no new process, and why."""


@pytest.mark.parametrize("word", SECTIONS)
def test_a_daemon_uses_nothing_else_of_the_settings_of_its_start(word: str) -> None:
    """A key used so is one that a reload does not change: the list has to have it."""
    listed = set(keys_at_start(whole().model_fields[word].annotation, word))  # type: ignore[arg-type]
    found = list(_from_the_start(ROOT / word / "service.py"))
    assert found
    for names in found:
        section, at = whole().model_fields[word].annotation, word
        for name in names:
            field = getattr(section, "model_fields", {}).get(name)
            if field is None:  # a method of the value, or a property
                break
            section, at = field.annotation, f"{at}.{name}"
        else:
            name = ""
        if isinstance(section, type) and issubclass(section, Section):
            if name:
                assert f"{at}.{name}" in PASSED_ON
                continue
            used = {f"{at}.{key}" for key in section.model_fields}
        else:
            used = {at}
        assert used - PASSED_ON.keys() <= listed
