"""The script says what the rules say, and no value becomes a command."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from accounts.sieve import (
    MAX_RULES,
    MAX_SCRIPT,
    MailRule,
    RuleError,
    compile_rules,
    compile_stored,
    parse_rule,
    read_stored,
)
from accounts.sieve.script import carried_size
from tests.unit.accounts.sieve.generated import Row, rows, rule_lists
from tests.unit.accounts.sieve.grammar import Command, Value, read

WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""To make a list of rules smaller takes minutes, and a script can be read as it is."""

# the words of the language, by the extension that has to be required for them
EXTENSIONS = {
    "fileinto": "fileinto", "addflag": "imap4flags", "reject": "reject", "vacation": "vacation",
    "envelope": "envelope", "body": "body", "currentdate": "date", ":create": "mailbox",
    ":copy": "copy", ":value": "relational", ":user": "subaddress", ":detail": "subaddress",
}  # fmt: skip


def make(*actions: dict[str, Any], conditions: list[Any] | None = None, **fields: Any) -> MailRule:
    return parse_rule(
        {
            "name": "test",
            "match": "any" if conditions else "always",
            "conditions": conditions or [],
            "actions": list(actions),
            **fields,
        }
    )


def lines_of(text: str) -> str:
    """A message as it is sent: CR LF, also at its end."""
    lines = re.split(r"\r\n|\r|\n", text)
    return "".join(f"{line}\r\n" for line in (lines[:-1] if lines[-1] == "" else lines))


def one_or_list(values: Any) -> Value:
    return values[0] if len(values) == 1 else tuple(values)


def keys(condition: dict[str, Any]) -> Value:
    def literal(value: str) -> str:
        return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")

    match condition["match"]:
        case "starts":
            return one_or_list([literal(value) + "*" for value in condition["values"]])
        case "ends":
            return one_or_list(["*" + literal(value) for value in condition["values"]])
        case _:
            return one_or_list(condition["values"])


def expected_days(data: dict[str, Any]) -> list[tuple[str, list[Value]]]:
    zone: list[Value] = [data["zone"]] if data["zone"] else []
    days = [("ge", data["since"]), ("le", data["until"])]
    return [("currentdate", [*zone, word, "date", day]) for word, day in days if day]


def expected_test(data: dict[str, Any]) -> list[tuple[str, list[Value]]]:
    found: list[tuple[str, list[Value]]] = [("not", [])] if data["negate"] else []
    match data["kind"]:
        case "header" | "address":
            found.append((data["kind"], [one_or_list(data["names"]), keys(data)]))
        case "envelope":
            found.append(("envelope", [data["name"], keys(data)]))
        case "exists":
            found.append(("exists", [one_or_list(data["names"])]))
        case "size":
            found.append(("size", [data["octets"]]))
        case "body":
            found.append(("body", [one_or_list(data["values"])]))
        case "spam":
            found.append(("header", ["X-Spam-Flag", "YES"]))
        case "date":
            days = expected_days(data)
            if data["weekdays"]:
                zone: list[Value] = [data["zone"]] if data["zone"] else []
                days.append(
                    ("currentdate", [*zone, "weekday", one_or_list([*map(str, data["weekdays"])])])
                )
            found += [("allof", []), *days] if len(days) > 1 else days
    return found


def expected_action(data: dict[str, Any]) -> list[tuple[str, list[Value]]]:
    match data["kind"]:
        case "fileinto":
            return [("fileinto", [data["mailbox"]])]
        case "redirect":
            return [("redirect", [data["address"]])]
        case "mark_read":
            return [("addflag", ["\\Seen"])]
        case "add_flags":
            return [("addflag", [one_or_list(data["flags"])])]
        case "reject":
            return [("reject", [lines_of(data["text"])])]
        case "vacation":
            values: list[Value] = [data["days"]]
            values += [data["subject"]] if data["subject"] is not None else []
            values += [one_or_list(data["addresses"])] if data["addresses"] else []
            days = expected_days(data)
            test = [("allof", []), *days] if len(days) > 1 else days
            command: tuple[str, list[Value]] = ("vacation", [*values, lines_of(data["text"])])
            return [("if", []), *test, command] if days else [command]
        case kind:
            return [(kind, [])]


def expected(rule: MailRule) -> list[tuple[str, list[Value]]]:
    """The commands and tests of a rule, with their strings and numbers, in their order."""
    data = rule.as_data()
    if not data["enabled"]:
        return []
    order = {"add_flags": 0, "mark_read": 0, "stop": 2}
    actions = sorted(data["actions"], key=lambda action: order.get(action["kind"], 1))
    if actions[0]["kind"] == "reject" and actions[-1]["kind"] != "stop":
        actions.append({"kind": "stop"})
    done = [item for action in actions for item in expected_action(action)]
    if not data["conditions"]:
        return done
    found: list[tuple[str, list[Value]]] = [("if", [])]
    if len(data["conditions"]) > 1:
        found.append(("anyof" if data["match"] == "any" else "allof", []))
    for condition in data["conditions"]:
        found += expected_test(condition)
    return found + done


def seen(command: Command) -> list[tuple[str, list[Value]]]:
    return [(one.word, one.values) for one in command.all()]


@settings(max_examples=100, deadline=None, phases=WITHOUT_SHRINKING)
@given(rule_lists)
def test_a_script_reads_back_as_its_rules(rules: list[MailRule]) -> None:
    script = compile_rules(rules)
    assert "\0" not in script
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", script)
    commands = read(script)
    required: list[str] = []
    if commands and commands[0].word == "require":
        value = commands.pop(0).values[0]
        required = [value] if isinstance(value, str) else list(value)  # type: ignore[arg-type]
    found = [item for command in commands for item in seen(command)]
    assert found == [item for rule in rules for item in expected(rule)]
    words = {
        word for command in commands for one in command.all() for word in (one.word, *one.tags)
    }
    assert required == sorted({EXTENSIONS[word] for word in words if word in EXTENSIONS})


@settings(max_examples=25, deadline=None, phases=WITHOUT_SHRINKING)
@given(rule_lists)
def test_a_rule_that_was_stored_is_the_same_rule(rules: list[MailRule]) -> None:
    assert [parse_rule(rule.as_data()) for rule in rules] == rules
    assert [read_stored(row) for row in rows(*rules)] == rules
    stored = compile_stored(rows(*rules))
    assert stored.problems == ()
    assert stored.text == compile_rules(rules)


def test_the_script_of_no_rules_is_a_script() -> None:
    for rules in ([], [make({"kind": "discard"}, enabled=False)]):
        script = compile_rules(rules)
        assert script.endswith("\r\n")
        assert script.startswith("# ")
        assert read(script) == []


def test_flags_are_set_before_what_they_count_for() -> None:
    script = compile_rules([make({"kind": "fileinto", "mailbox": "A"}, {"kind": "mark_read"})])
    assert [one.word for one in read(script)] == ["require", "addflag", "fileinto"]


@pytest.mark.parametrize(
    "text",
    ['x"; discard; #', "x\r\n.\r\n;\r\ndiscard;\r\n", ".\r.\n.", "${hex:22}; discard;", '\\\\"'],
)
def test_a_text_stays_a_text(text: str) -> None:
    script = compile_rules([make({"kind": "vacation", "text": text})])
    require, vacation = read(script)
    assert (require.word, vacation.word) == ("require", "vacation")
    assert vacation.values[-1] == lines_of(text)


def test_a_name_stays_a_comment() -> None:
    script = compile_rules([make({"kind": "keep"}, name="*/ discard; # \u202e {")])
    assert [one.word for one in read(script)] == ["keep"]
    assert "# */ discard; # \\u202e {\r\n" in script


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (
            [make({"kind": "vacation", "text": "a"}), make({"kind": "vacation", "text": "b"})],
            "Only one enabled rule can have a vacation.",
        ),
        ([make({"kind": "keep"})] * (MAX_RULES + 1), "A mailbox has at most 200 rules."),
        (
            [make({"kind": "keep"}, conditions=[{"kind": "body", "values": ["é" * 500] * 20}])] * 3,
            "The script of all rules is larger than 60000 octets.",
        ),
    ],
)
def test_rules_that_do_not_go_together_are_refused(rules: list[MailRule], text: str) -> None:
    with pytest.raises(RuleError, match=text):
        compile_rules(rules)
    stored = compile_stored([Row(str(at), True, rule.body()) for at, rule in enumerate(rules)])
    rules = [rule.model_copy(update={"name": str(at)}) for at, rule in enumerate(rules)]
    assert [(one.rule, one.text) for one in stored.problems] == [(str(len(rules) - 1), text)]
    assert carried_size(stored.text) <= MAX_SCRIPT
    assert stored.text == compile_rules(rules[:-1])


def test_a_disabled_vacation_does_not_count() -> None:
    away = {"kind": "vacation", "text": "away"}
    compile_rules([make(away), make(away, enabled=False)])


def test_the_largest_script_has_room_in_the_protocol() -> None:
    """Line ends count as they are sent: a text of nothing else fills the script four times."""
    lines = make({"kind": "reject", "text": "a" + "\n" * 900})
    fitting = compile_stored(rows(lines) * 40)
    assert 0 < len(fitting.problems) < 40
    assert MAX_SCRIPT - 5000 < carried_size(fitting.text) <= MAX_SCRIPT


def test_what_is_stored_and_cannot_be_read_is_left_out() -> None:
    good = make({"kind": "discard"}).body()
    bad = [
        Row("unknown", True, {"x": 1}), Row("list", True, []), Row("none", True, None),
        Row("twice", True, {**good, "name": "other"}), Row("", True, good),
        Row("line\r\nend", True, good), Row("lone \ud800", False, good),
    ]  # fmt: skip
    stored = compile_stored([*bad, Row("good", True, good), Row("off", False, good)])
    assert [one.rule for one in stored.problems] == [row.name for row in bad]
    assert [one.word for one in read(stored.text)] == ["discard"]


def test_another_text_has_another_revision() -> None:
    one, other = compile_stored([]), compile_stored(rows(make({"kind": "keep"})))
    assert re.fullmatch("[0-9a-f]{32}", one.revision)
    assert one.revision == compile_stored([]).revision != other.revision
