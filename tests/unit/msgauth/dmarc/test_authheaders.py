"""The messages that the authheaders package is tested with: whom they are from."""

from __future__ import annotations

import pytest

from msgauth.dmarc import find_author
from msgauth.message import parse_message
from tests.conformance import suite

FOLDER = suite("dmarc/authheaders")


@pytest.mark.parametrize(
    ("name", "domains", "problem"),
    [
        ("test.message", ("example.com",), ""),
        ("test.bad.message", ("bad.example.com",), ""),
        ("test.gov.message", ("example.gov",), ""),
        ("test_nop.message", ("nop.example.org",), ""),
        ("test.message_sub", ("sub.example.net",), ""),
        ("test.message_multi", ("example.org", "example.com"), ""),
        ("test.message_multi2", ("example.com", "example.org"), ""),
        ("testcomma.message", ("example.com",), ""),
        ("test.nofrom.message", (), "From has no address"),
    ],
)
def test_author(name: str, domains: tuple[str, ...], problem: str) -> None:
    fields, _ = parse_message((FOLDER / name).read_bytes())
    author = find_author([field.value for field in fields if field.key == b"from"])
    assert (author.domains, author.problem) == (domains, problem)
