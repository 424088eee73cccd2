import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.address import (
    MAX_ADDRESS,
    MAX_LOCAL_PART,
    AccountAddress,
    AccountAddressError,
    parse_alias_address,
    parse_domain,
    parse_mailbox_address,
    parse_target,
)

PARSERS = [parse_mailbox_address, parse_alias_address, parse_target]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("1and1.example", "1and1.example"),
        ("a-b.c-d.example", "a-b.c-d.example"),
    ],
)
def test_domains(text: str, domain: str) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        ".example.org",
        "example..org",
        "example.org..",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "a/b.example",
        "../etc",
        "example.org\n",
        "example\0.org",
        "192.0.2.1",
        "[192.0.2.1]",
        "a@example.org",
        "x" * 64 + ".example",
        "a." * 130 + "example",
        "é" * 5000,
        "*.example.org",
        "%.example",
        "'; DROP TABLE domain; --",
        "<b>example.org</b>",
        "\ud800.example",
    ],
)
def test_no_domains(text: str) -> None:
    with pytest.raises(AccountAddressError):
        parse_domain(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ("anna+News@example.org.", "anna+news@example.org"),
        ("a.b.c@example.org", "a.b.c@example.org"),
        ("o'neil@example.org", "o'neil@example.org"),
        ("JÜRGEN@bücher.example", "jürgen@xn--bcher-kva.example"),
        ("ju\u0308rgen@example.org", "jürgen@example.org"),
        ("用户@例子.example", "用户@xn--fsqu00a.example"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    parsed = parse_mailbox_address(text)
    assert str(parsed) == address
    assert parsed == AccountAddress(*address.rsplit("@", 1))
    assert parse_alias_address(text) == parsed


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "anna",
        "@example.org",
        "anna@",
        "anna@@example.org",
        "a@b@example.org",
        ".anna@example.org",
        "anna.@example.org",
        "an..na@example.org",
        "an na@example.org",
        " anna@example.org",
        "anna@example.org ",
        "anna@example.org\n",
        "an\nna@example.org",
        "an\0na@example.org",
        "an\x7fna@example.org",
        "an\u202ena@example.org",
        "an\u00a0na@example.org",
        "an\ud800na@example.org",
        "an,na@example.org",
        "<anna@example.org>",
        "an(x)na@example.org",
        "a:b@example.org",
        "a\\b@example.org",
        '"anna@example.org',
        "-anna@example.org",
        "a" * 65 + "@example.org",
        "é" * 33 + "@example.org",
        "a" * 60 + "@" + "b." * 95 + "example",
        "a" * 300 + "@example.org",
        "a@" + "b" * 1_000_000,
        "a" * 10_000_000,
        "anna@[192.0.2.1]",
        "anna@exa mple.org",
    ],
)
def test_no_addresses(parse: Callable[[str], AccountAddress], text: str) -> None:
    with pytest.raises(AccountAddressError) as caught:
        parse(text)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "../../etc/passwd@example.org",
        "a/b@example.org",
        '"anna"@example.org',
        '"an na"@example.org',
        "＠@example.org",
        "ａnna@example.org",
        "ﬁ@example.org",
    ],
)
def test_no_names_of_ours(text: str) -> None:
    for parse in (parse_mailbox_address, parse_alias_address):
        with pytest.raises(AccountAddressError):
            parse(text)


def test_an_alias_has_wildcards() -> None:
    for text in ("*@example.org", "sales-*@example.org", "a.*.b@example.org"):
        assert str(parse_alias_address(text.upper())) == text
        with pytest.raises(AccountAddressError):
            parse_mailbox_address(text)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Anna@Other.Example", "Anna@other.example"),
        ('"an na"@other.example', '"an na"@other.example'),
        ('"a@b"@other.example', '"a@b"@other.example'),
        ('"a\\"b"@other.example', '"a\\"b"@other.example'),
        ("a/b@other.example", "a/b@other.example"),
        ("a@my_host.example", "a@my_host.example"),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
    ],
)
def test_targets(text: str, target: str) -> None:
    assert str(parse_target(text)) == target


@pytest.mark.parametrize("text", ['"a\nb"@x.example', '"a\0"@x.example', '"a"b"@x.example'])
def test_no_targets(text: str) -> None:
    with pytest.raises(AccountAddressError):
        parse_target(text)


@given(st.text(max_size=300) | st.from_regex(r"[^@]{1,70}@[a-zA-Z0-9.]{1,200}", fullmatch=True))
def test_any_text_gives_an_address_in_its_own_form_or_an_error(text: str) -> None:
    for parse in PARSERS:
        try:
            address = parse(text)
        except AccountAddressError:
            continue
        assert parse(str(address)) == address
        assert address.local == unicodedata.normalize("NFC", address.local)
        assert len(address.local.encode()) <= MAX_LOCAL_PART
        assert len(str(address).encode()) <= MAX_ADDRESS
        assert str(address).isprintable()
        if parse is not parse_target:
            assert not set(address.local) & set('/" \\,;<>()[]:@')
            assert address.local == address.local.lower()


@given(st.text(min_size=1, max_size=20))
def test_case_makes_no_difference_in_names_of_ours(local: str) -> None:
    try:
        address = parse_mailbox_address(f"{local}@example.org")
    except AccountAddressError:
        return
    if local.isascii():
        assert parse_mailbox_address(f"{local.upper()}@EXAMPLE.ORG") == address
