"""The author of a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milters.author import MAX_AUTHORS, authors


def read(*values: str) -> list[str]:
    return [author.address for author in authors([value.encode() for value in values])]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" user@example.org", ["user@example.org"]),
        (" User <user@Example.ORG>", ["user@Example.ORG"]),
        (' "Bank, <ceo@bank.example>" <user@example.org>', ["user@example.org"]),
        (" (ceo@bank.example) user@example.org (really)", ["user@example.org"]),
        (" a@example.org,\r\n b <b@example.net>", ["a@example.org", "b@example.net"]),
        (" Friends: a@example.org, b@example.net;", ["a@example.org", "b@example.net"]),
        (' "odd local"@example.org', ['"odd local"@example.org']),
        (" <@relay.example,@other.example:user@example.org>", ["user@example.org"]),
        (" =?utf-8?q?J=C3=B6rg?= <j@example.org>", ["j@example.org"]),
        (" Jörg <jörg@bücher.example>", ["jörg@bücher.example"]),
        ("", []),
        (" nobody", []),
        (" undisclosed:;", []),
        (" user@", []),
        (" @example.org", []),
        (" a@b@example.org", []),
        (" two words@example.org", []),
        (" <user@example.org", []),
        (' "user@example.org', []),
        (" (user@example.org", []),
        (" <a@example.org> <b@example.org>", []),
        (" user@[192.0.2.1]", []),
        (" good@example.org, bad", []),
    ],
)
def test_reading(value: str, expected: list[str]) -> None:
    assert read(value) == expected


def test_no_author_without_exactly_one_field() -> None:
    assert read() == []
    assert read(" a@example.org", " a@example.org") == []


def test_a_list_of_addresses_is_no_author() -> None:
    assert read(" " + ", ".join(f"a{n}@example.org" for n in range(MAX_AUTHORS + 1))) == []


@given(st.text(alphabet='ab@.<>,:;()"\\ \t\n', max_size=60))
def test_nothing_is_raised(text: str) -> None:
    read(text)
