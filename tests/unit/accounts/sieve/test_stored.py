"""Rules go into the datastore and come out of it as a script, and no others do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from accounts.directory import sieve_rules
from accounts.sieve import compile_rules, compile_stored, parse_rule, read_stored
from accounts.store import schema
from accounts.store.errors import Invalid
from accounts.store.transaction import Write
from tests.unit.accounts import files
from tests.unit.accounts.desk import Desk

ANNA = "anna@example.org"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(files.make(tmp_path / "accounts.db"))
    desk.domain()
    desk.mailbox(ANNA)
    yield desk
    desk.close()


def add(write: Write, name: str, *actions: dict[str, Any], enabled: bool = True) -> None:
    """Add a rule as a page does: all rules of the mailbox have to go together afterwards."""
    data = {"name": name, "enabled": enabled, "match": "always", "actions": list(actions)}
    rule = parse_rule(data)
    sieve_rules.add(write, ANNA, rule.name, rule=rule.body(), enabled=rule.enabled)
    compile_rules(map(read_stored, sieve_rules.find(write.connection, ANNA)))


def test_rules_are_stored_and_compiled(desk: Desk) -> None:
    desk.write(lambda w: add(w, "a", {"kind": "fileinto", "mailbox": "Entwürfe/😀"}))
    desk.write(
        lambda w: add(w, "b", {"kind": "vacation", "text": "x\n.\ny", "since": "2026-12-01"})
    )
    desk.write(lambda w: add(w, "c", {"kind": "discard"}, enabled=False))
    found = desk.read(lambda c: sieve_rules.find(c, ANNA))
    compiled = compile_stored(found)
    assert compiled.problems == ()
    assert compiled.text == compile_rules(map(read_stored, found))
    assert 'fileinto :create "Entwürfe/😀";' in compiled.text
    assert compiled.text.index("# a\r\n") < compiled.text.index("# b\r\n")
    assert "# c\r\n" not in compiled.text


def test_a_rule_that_does_not_go_with_the_others_is_not_stored(desk: Desk) -> None:
    away = {"kind": "vacation", "text": "away"}
    desk.write(lambda w: add(w, "a", away))
    with pytest.raises(Invalid, match="Only one enabled rule can have a vacation"):
        desk.write(lambda w: add(w, "b", away))
    assert [rule.name for rule in desk.read(lambda c: sieve_rules.find(c, ANNA))] == ["a"]


def test_what_others_have_stored_does_no_harm(desk: Desk) -> None:
    others: dict[str, Any] = {"foreign": {"if": ['"; discard; #']}, "list": []}
    for name in others:
        desk.write(lambda w: add(w, name, {"kind": "keep"}))  # noqa: B023
    for name, rule in others.items():
        changed = update(schema.sieve_rule).where(schema.sieve_rule.c.name == name)
        desk.write(lambda w: w.connection.execute(changed.values(rule=rule)))  # noqa: B023
    compiled = compile_stored(desk.read(lambda c: sieve_rules.find(c, ANNA)))
    assert [one.rule for one in compiled.problems] == ["foreign", "list"]
    assert compiled.text == compile_rules([])
