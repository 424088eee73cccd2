from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.authres import AuthresError, format_value, parse
from msgauth.authres.parse import MAX_LENGTH, MAX_PROPERTIES, MAX_RESULTS, MethodResult
from msgauth.results import DkimStatus, Finding, Property

VECTORS = Path(__file__).parents[3] / "vectors" / "authres"


def golden() -> list[Any]:
    cases = []
    for path in sorted(VECTORS.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        cases += [pytest.param(c, id=f"{path.stem}: {c['what']}") for c in data["case"]]
    return cases


def as_written(result: MethodResult) -> dict[str, Any]:
    return {
        "method": result.method,
        "result": result.result,
        "reason": result.reason,
        "version": result.version,
        "properties": [f"{p.ptype}.{p.name}={p.value}" for p in result.properties],
    }


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("case", golden())
def test_golden_case(case: dict[str, Any], line_end: str) -> None:
    found = parse(case["value"].replace("\n", line_end))
    assert found.authserv_id == case["authserv_id"]
    defaults = {"reason": "", "version": 1, "properties": []}
    assert [as_written(r) for r in found.results] == [defaults | r for r in case["results"]]


def test_results_of_a_method_are_those_of_the_version_that_is_known() -> None:
    found = parse("a.example; dkim=fail; dkim/2=pass; DKIM/1=pass; spf=pass")
    assert [r.result for r in found.of("dkim")] == ["fail", "pass"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "a value is missing"),
        ("; spf=pass", "a value is missing"),
        ('""; spf=pass', "an empty authserv-id"),
        ("a.example 2; spf=pass", "version 2 of the syntax is not known"),
        ("a.example 1x; spf=pass", "; is missing"),
        ("a.example b; spf=pass", "; is missing"),
        ("a.example; spf", "= is missing"),
        ("a.example; spf=", "a keyword is missing"),
        ("a.example; spf=pass smtp.mailfrom", "= is missing"),
        ("a.example; spf=pass smtp.=x", "a keyword is missing"),
        ("a.example; spf=pass smtp.mailfrom=", "a value is missing"),
        ("a.example; spf=pass smtp.mailfrom=a;;", "a keyword is missing"),
        ("a.example; none; spf=pass", "none beside results"),
        ("a.example; spf=pass; none", "none beside results"),
        ('a.example; spf=pass reason="x', "a value is missing"),
        ("a.example (x; spf=pass", "a comment without an end"),
        ("(" * 21 + ")" * 21 + "a.example; none", "a comment without an end"),
        ('a.example; spf=pass reason="x"smtp.mailfrom=a', "a space is missing"),
        ("a" * (MAX_LENGTH + 1), "a field of more than 65536 characters"),
        ("a.example" + "; spf=pass" * (MAX_RESULTS + 1), "more than 100 results"),
        ("a.example; x=y" + " a.b=c" * (MAX_PROPERTIES + 1), "more than 50 properties"),
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(value: str, why: str) -> None:
    with pytest.raises(AuthresError) as caught:
        parse(value)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "value", ["(" * 65536, '"' * 65536, "a;" * 32000, "a; b=c" + " " * 65000, "a; b=c d=" * 7000]
)
def test_a_long_field_takes_time_in_proportion(value: str) -> None:
    for _ in range(20):
        try:
            parse(value)
        except AuthresError:
            continue


SOME_WORDS = """
    a.example ; = spf dkim pass none smtp . mailfrom @ / 1 (x) ( ) " "x" \\ reason header.d= ü
"""
WORDS = st.sampled_from([*SOME_WORDS.split(), " ", "\r\n ", '"x y"'])


@given(st.text(max_size=60) | st.lists(WORDS, max_size=25).map("".join))
def test_any_text_is_read_or_refused_and_what_is_read_can_be_written_and_read_again(
    text: str,
) -> None:
    try:
        found = parse(text)
    except AuthresError:
        return
    statuses = {status.value for status in DkimStatus}
    results = [r for r in found.results if r.version == 1 and r.result in statuses]
    if any(not p.ptype for r in results for p in r.properties):
        return
    findings = [Finding(r.method, DkimStatus(r.result), r.reason, r.properties) for r in results]
    again = parse(format_value(found.authserv_id, findings, utf8=True))
    assert [(r.method, r.result) for r in again.results] == [(r.method, r.result) for r in results]
    for result, second in zip(results, again.results, strict=True):
        written = [p for p in result.properties if p.value]
        assert [Property(p.ptype, p.name, shown(p.value)) for p in written] == list(
            second.properties
        )


def shown(value: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in value)
