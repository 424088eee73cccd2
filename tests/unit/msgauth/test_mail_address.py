"""The address of a mailbox, out of text."""

from __future__ import annotations

import pytest

from msgauth import MailAddress


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
