from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from milters.keys.names import KeyNameError, parse_domain, parse_selector, record_name


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("example.org", "example.org"),
        ("Example.ORG.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_domain(text: str, domain: str) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    ["", "org", ".", "..", "../example.org", "a/b.org", "example..org", "a b.org", "a\0.a"],
)
def test_no_domain(text: str) -> None:
    with pytest.raises(KeyNameError):
        parse_domain(text)


@pytest.mark.parametrize("text", ["202611r", "S1", "a.b", "mail_2020", "x-1"])
def test_selector(text: str) -> None:
    assert parse_selector(text) == text.lower()


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a..b", "../x", "a/b", "-a", "a-", "a" * 64, "a\nb", "ä", "*", "a b"]
)
def test_no_selector(text: str) -> None:
    with pytest.raises(KeyNameError):
        parse_selector(text)


@given(st.one_of(st.text(max_size=80), st.text(alphabet="aA0./\\-_\0\n é%*", max_size=12)))
@example("..")
@example("a/..")
def test_what_passes_is_one_path_part(text: str) -> None:
    for parse in (parse_domain, parse_selector):
        try:
            name = parse(text)
        except KeyNameError:
            continue
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")
        assert parse(name) == name


def test_a_record_name_is_no_longer_than_dns_allows() -> None:
    domain = ".".join(["a" * 60] * 4)
    assert record_name("example.org", "s1") == "s1._domainkey.example.org"
    with pytest.raises(KeyNameError):
        record_name(domain, "s1")
