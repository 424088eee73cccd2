"""`gatepost rule`."""

from __future__ import annotations

import json

import pytest

from tests.unit.accounts.cli.shell import Shell

ANNA = "anna@example.org"
LIST = {
    "name": "Lists",
    "conditions": [
        {"kind": "header", "names": ["List-Id"], "match": "contains", "values": ["postfix"]}
    ],
    "actions": [{"kind": "fileinto", "mailbox": "Lists"}, {"kind": "stop"}],
}
AWAY = {"name": "Away", "match": "always", "actions": [{"kind": "vacation", "text": "Gone"}]}


def add(shell: Shell, *rules: object) -> None:
    for rule in rules:
        shell.run("rule", "add", ANNA, "-", typed=json.dumps(rule))


def test_a_rule_is_added_shown_changed_and_removed(filled: Shell) -> None:
    file = filled.folder / "rule.json"
    file.write_text(json.dumps(LIST))
    made = filled.json("rule", "add", ANNA, str(file))
    assert (made["name"], made["position"], made["enabled"]) == ("Lists", 0, True)
    shown = filled.json("rule", "show", ANNA, "Lists")
    assert 'fileinto :create "Lists"' in shown.pop("sieve")
    assert shown.pop("problems") == []
    assert shown == made
    assert made["rule"]["conditions"][0]["names"] == ["List-Id"]
    assert "header      fileinto, stop" in filled.run("rule", "list", ANNA)
    made = filled.json("rule", "set", ANNA, "Lists", "--enabled", "no")
    assert (made["enabled"], made["rule"]["enabled"]) == (False, False)
    assert "fileinto" not in filled.json("rule", "show", ANNA, "Lists")["sieve"]
    assert made["rule"] == shown["rule"] | {"enabled": False}
    typed = json.dumps(shown["rule"] | {"name": "Others"})
    made = filled.json("rule", "set", ANNA, "Lists", "--file", "-", typed=typed)
    assert (made["name"], made["enabled"]) == ("Others", True)
    assert filled.json("rule", "remove", ANNA, "Others", "--yes")["removed"] == "Others"
    assert filled.json("rule", "list", ANNA) == []


def test_the_order_of_rules(filled: Shell) -> None:
    add(filled, *(LIST | {"name": name} for name in "abc"))
    assert filled.json("rule", "set", ANNA, "c", "--number", "1")["position"] == 0
    assert [one["name"] for one in filled.json("rule", "list", ANNA)] == ["c", "a", "b"]
    assert filled.error("rule", "set", ANNA, "c", "--number", "4") == (
        "number: The mailbox has 3 rules."
    )
    assert "0" in filled.usage("rule", "set", ANNA, "c", "--number", "0")


def test_a_rule_that_does_not_go_with_the_others(filled: Shell) -> None:
    add(filled, AWAY)
    before = filled.everything()
    other = json.dumps(AWAY | {"name": "Away, too"})
    assert "vacation" in filled.error("rule", "add", ANNA, "-", typed=other)
    assert filled.everything() == before
    add(filled, AWAY | {"name": "Away, too", "enabled": False})
    assert "vacation" in filled.error("rule", "set", ANNA, "Away, too", "--enabled", "yes")
    filled.run("rule", "set", ANNA, "Away", "--enabled", "no")
    filled.run("rule", "set", ANNA, "Away, too", "--enabled", "yes")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "rule: It must be an object."),
        ("{}", "rule.name"),
        ("[" * 10_000, "nested too deeply"),
        ('{"a":' * 200 + "1" + "}" * 200, "rule"),
        (" " * 70_000, "more than 65536 octets"),
        (b"\xff\xff", "not JSON"),
        (json.dumps(LIST | {"name": "a\0b"}), "rule.name"),
        (json.dumps(LIST | {"actions": [{"kind": "pipe"}]}), "rule.actions.0"),
        (json.dumps(LIST | {"actions": [{"kind": "redirect", "address": "x"}]}), "rule.actions.0"),
    ],
)
def test_a_bad_rule_is_refused(filled: Shell, text: str | bytes, reason: str) -> None:
    before = filled.everything()
    assert reason in filled.error("rule", "add", ANNA, "-", typed=text)
    assert filled.everything() == before


def test_what_is_not_there(filled: Shell) -> None:
    assert "no rule" in filled.error("rule", "show", ANNA, "x")
    assert "no rule" in filled.error("rule", "set", ANNA, "x", "--enabled", "no")
    assert "no rule" in filled.error("rule", "remove", ANNA, "x", "--yes")
    assert "no mailbox" in filled.error("rule", "list", "bob@example.org")
    assert "nothing to change" in filled.usage("rule", "set", ANNA, "x")
    assert "No such file" in filled.error("rule", "add", ANNA, str(filled.folder / "no.json"))
