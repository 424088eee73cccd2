"""`gatepost user move` and `moves`, as far as no server is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.accounts import files
from tests.unit.accounts.cli.shell import Shell

ANNA = "anna@example.org"
STORES = """
[accounts.stores]
default = "s0"
named.s0 = { host = "10.0.0.1" }
named.s1 = { host = "10.0.0.2" }
"""


@pytest.fixture
def sharded(tmp_path: Path) -> Shell:
    """With two stores, and a mailbox in the first."""
    shell = Shell(tmp_path, files.make(tmp_path / "accounts.db"), STORES)
    shell.domain()
    shell.user()
    return shell


def test_a_move_is_asked_for_listed_and_ended(sharded: Shell) -> None:
    assert sharded.json("user", "show", ANNA)["store"] == "s0"
    told = sharded.run("user", "move", ANNA, "--store", "s1", "--no-wait")
    assert told == f"user {ANNA} is being moved to s1\n"
    (one,) = sharded.json("user", "moves")
    assert (one["source"], one["target"], one["phase"]) == ("s0", "s1", "copy")
    assert (one["failures"], one["problem"]) == (0, "")
    assert sharded.run("user", "moves").splitlines()[1].split() == [ANNA, "s0", "s1", "copy"]
    assert sharded.run("user", "move", ANNA, "--cancel") == f"move of user {ANNA} ended\n"
    assert sharded.json("user", "moves") == []
    assert sharded.error("user", "move", ANNA, "--cancel") == f"{ANNA} is not being moved."


def test_what_cannot_be_asked(sharded: Shell) -> None:
    assert sharded.usage("user", "move", ANNA) == "give one of --store and --cancel"
    told = sharded.error("user", "move", ANNA, "--store", "s2")
    assert told == "store: There is no mail store s2; known are: s0, s1."
    assert "is in s0 already" in sharded.error("user", "move", ANNA, "--store", "s0")
    assert "user move" in sharded.error("user", "set", ANNA, "--store", "s1")
    assert sharded.json("user", "moves") == []


def test_without_names_nothing_moves(filled: Shell) -> None:
    told = filled.error("user", "move", ANNA, "--store", "s1")
    assert told == "store: There is no mail store s1; known are: none."
