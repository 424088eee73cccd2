"""The address of a mailbox, out of text."""

from __future__ import annotations

import time

import pytest

from msgauth import MailAddress
from msgauth.mail_address import NO_ADDRESS, without_route


@pytest.mark.parametrize(
    ("text", "local", "domain", "unquoted"),
    [
        ("User@Example.ORG.", "User", "example.org", "User"),
        ("user@bücher.example", "user", "xn--bcher-kva.example", "user"),
        ('"a b@c"@example.org', '"a b@c"', "example.org", "a b@c"),
        ('"a\\"\\b"@example.org', '"a\\"\\b"', "example.org", 'a"b'),
        ('"@example.org', '"', "example.org", '"'),
        ('""@example.org', '""', "example.org", ""),
        ("a@b@example.org", "a@b", "example.org", "a@b"),
        ("@example.org", "", "example.org", ""),
        ("user", "user", "", "user"),
        ("", "", "", ""),
        ("user@", "user", "", "user"),
        ("user@[192.0.2.1]", "user", "", "user"),
        ("user@exa mple", "user", "", "user"),
        ("user@" + "x" * 300, "user", "", "user"),
    ],
)
def test_parts(text: str, local: str, domain: str, unquoted: str) -> None:
    address = MailAddress.parse(text)
    assert address == (local, domain, text)
    assert address.unquoted_local == unquoted
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("a@BÜCHER.example", "xn--bcher-kva.example"),
        ("a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ("a@Exa mple", "exa mple"),
        ("user", ""),
        ("", ""),
    ],
)
def test_the_domain_or_the_text_in_its_place(text: str, host: str) -> None:
    assert MailAddress.parse(text).host == host


@pytest.mark.parametrize("path", ["<a@example.org>", " <a@example.org> ", "a@example.org"])
def test_a_path_of_smtp(path: str) -> None:
    assert MailAddress.parse_path(path) == MailAddress.parse("a@example.org")
    assert MailAddress.parse_path("<>") == NO_ADDRESS


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("@a.example:user@example.org", "user@example.org"),
        ("@a.example,@b.example:user@example.org", "user@example.org"),
        ("@a.example:@b.example:user@example.org", "user@example.org"),
        ("@:user", "user"),
        ("@a.example:", ""),
        ("@example.org", "@example.org"),
        ("user:x@example.org", "user:x@example.org"),
        (" @a:user@example.org", " @a:user@example.org"),
        ("", ""),
    ],
)
def test_a_source_route_is_left_out(text: str, plain: str) -> None:
    assert without_route(text) == plain
    assert MailAddress.parse_path(f"<{text.strip()}>") == MailAddress.parse(
        without_route(text.strip())
    )


def test_a_huge_address_takes_little_time() -> None:
    started = time.process_time()
    for text in ("@:" * 500_000, "@" * 1_000_000, '"' + "\\" * 1_000_000 + '"@example.org'):
        address = MailAddress.parse_path(text)
        assert address.unquoted_local is not None
        assert len(address.host) <= len(text)
    assert time.process_time() - started < 5
