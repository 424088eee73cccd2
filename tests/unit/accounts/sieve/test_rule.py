"""Rules are read strictly and within bounds."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.sieve import RuleError, parse_rule, parse_rule_text

KEEP = {"kind": "keep"}


def rule(**fields: Any) -> dict[str, Any]:
    return {"name": "test", "match": "always", "actions": [KEEP], **fields}


def condition(**fields: Any) -> dict[str, Any]:
    return rule(match="any", conditions=[fields])


def action(kind: str, **fields: Any) -> dict[str, Any]:
    return rule(actions=[{"kind": kind, **fields}])


def header(*values: str, **fields: Any) -> dict[str, Any]:
    return condition(kind="header", names=["Subject"], values=list(values), **fields)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (rule(name=""), "name"),
        (rule(name="a\nb"), "name"),
        (rule(name="a" * 201), "name"),
        (rule(name=5), "name"),
        (rule(enabled="yes"), "enabled"),
        (rule(colour="red"), "colour"),
        (rule(actions=[]), "actions"),
        (rule(actions=[KEEP] * 11), "actions"),
        (rule(actions=[KEEP, KEEP]), ""),
        (rule(actions=[KEEP, {"kind": "discard"}]), ""),
        (rule(actions=[KEEP, {"kind": "reject", "text": "no"}]), ""),
        (rule(actions=[{"kind": "redirect", "address": f"{n}@example.org"} for n in range(5)]), ""),
        (rule(match="any"), ""),
        (rule(match="all"), ""),
        (rule(conditions=[{"kind": "spam"}]), ""),
        (rule(match="any", conditions=[{"kind": "spam"}] * 21), "conditions"),
        (action("execute", program="/bin/sh"), "actions.0"),
        (header(), "conditions.0.values"),
        (header(""), "conditions.0.values.0"),
        (header("a\0"), "conditions.0.values.0"),
        (header("a\r\nb"), "conditions.0.values.0"),
        (header("a\u2028b"), "conditions.0.values.0"),
        (header("a" * 501), "conditions.0.values.0"),
        (header(*"a" * 51), "conditions.0.values"),
        (header("*" * 11, match="matches"), "conditions.0.values"),
        (header("a", match="regex"), "conditions.0.match"),
        (condition(kind="header", names=["a:b"], values=["x"]), "conditions.0.names.0"),
        (condition(kind="header", names=["é"], values=["x"]), "conditions.0.names.0"),
        (condition(kind="header", names=["a\n"], values=["x"]), "conditions.0.names.0"),
        (condition(kind="address", names=["subject"], values=["x"]), "conditions.0.names.0"),
        (condition(kind="size", octets=2**31), "conditions.0.octets"),
        (condition(kind="size", octets=-1), "conditions.0.octets"),
        (condition(kind="size", octets=True), "conditions.0.octets"),
        (condition(kind="date"), "conditions.0"),
        (condition(kind="date", since="tomorrow"), "conditions.0.since"),
        (condition(kind="date", since="2026-12-02", until="2026-12-01"), "conditions.0"),
        (condition(kind="date", since="0001-01-01"), "conditions.0"),
        (condition(kind="date", weekdays=[0, 1], since="2027-01-01", until="2026-01-01"),
         "conditions.0"),
        (condition(kind="date", weekdays=[7]), "conditions.0.weekdays.0"),
        (condition(kind="date", weekdays=[1, 1]), "conditions.0.weekdays"),
        (condition(kind="date", weekdays=[1], zone="CET"), "conditions.0.zone"),
        (condition(kind="date", weekdays=[1], zone='+0100"'), "conditions.0.zone"),
        (action("add_flags", flags=["\\Recent"]), "actions.0.flags.0"),
        (action("add_flags", flags=["a b"]), "actions.0.flags.0"),
        (action("add_flags", flags=["a", "a"]), "actions.0.flags"),
        (action("reject", text="a" * 1001), "actions.0.text"),
        (action("reject", text=" \n"), "actions.0.text"),
        (action("vacation", text="a\0b"), "actions.0.text"),
        (action("vacation", text="a", days=0), "actions.0.days"),
        (action("vacation", text="a", subject="a\r\nBcc: x"), "actions.0.subject"),
        (action("vacation", text="a", addresses=["nobody"]), "actions.0.addresses.0"),
        (action("vacation", text="a", since="2027-01-01", until="2026-01-01"), "actions.0"),
        (action("vacation", text="\ud800"), ""),
    ],
)  # fmt: skip
def test_a_bad_rule_says_where_and_why(data: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(data)
    assert caught.value.field == field
    assert caught.value.text.endswith(".")
    assert "\n" not in caught.value.text


@pytest.mark.parametrize(
    "name",
    ["", "/", "a/", "/a", "a//b", "..", "a/../b", "./a", "~root", "a/~b", " a", "a ", "a/ b", "a\0",
     "a\nb", "a*", "a%", "a\\b", "a" * 201, "é" * 101, "/".join("a" * 17)],
)  # fmt: skip
def test_a_name_that_is_no_mailbox_is_refused(name: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(action("fileinto", mailbox=name))


@pytest.mark.parametrize(
    ("given_name", "stored"),
    [
        ("INBOX", "INBOX"),
        ("a/b c/d", "a/b c/d"),
        ("Entwu\u0308rfe", "Entw\u00fcrfe"),
        ("..a", "..a"),
    ],
)
def test_a_name_of_a_mailbox_is_stored_in_nfc(given_name: str, stored: str) -> None:
    assert parse_rule(action("fileinto", mailbox=given_name)).as_data()["actions"][0] == {
        "kind": "fileinto",
        "mailbox": stored,
        "copy": False,
        "create": True,
    }


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "a@", "@example.org", "a b@example.org", '"a b"@example.org', "ä@example.org",
     "a@example.org>", "a@example.org, b@example.org", "a@localhost", "a@[192.0.2.1]",
     "a@under_score.example.org", "a@-x.example.org", "a@x-.example.org", "a\r\n@example.org"],
)  # fmt: skip
def test_an_address_that_sieve_cannot_use_is_refused(address: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(action("redirect", address=address))
    assert caught.value.field == "actions.0.address"


def test_a_domain_beyond_ascii_becomes_alabels() -> None:
    redirect = parse_rule(action("redirect", address="A@bücher.example")).as_data()["actions"][0]
    assert redirect == {"kind": "redirect", "address": "A@xn--bcher-kva.example", "copy": True}


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just({"kind": "keep"}),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["name", "match", "conditions", "actions", "kind", "text"]), inner
    ),
))  # fmt: skip
def test_any_data_is_a_rule_or_a_rule_error(data: Any) -> None:
    with contextlib.suppress(RuleError):
        assert parse_rule(data).name == data["name"]


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 10_000, b"\xff", "", "null", "{}"])
def test_any_text_is_a_rule_or_a_rule_error(text: str | bytes) -> None:
    with pytest.raises(RuleError):
        parse_rule_text(text)


def test_deep_data_is_a_rule_error() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RuleError, match="not JSON"):
        parse_rule({"actions": deep})
