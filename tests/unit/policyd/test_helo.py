"""HELO names."""

from __future__ import annotations

import pytest

from policyd.helo import judge_helo
from policyd.match import parse_address


@pytest.mark.parametrize(
    ("helo", "verdict"),
    [
        ("mx1.example.net", "fine"),
        ("MX1.Example.NET.", "fine"),
        ("under_score.example.net", "fine"),
        ("[192.0.2.7]", "fine"),
        ("mx.example.org", "forged"),
        ("MX.example.ORG", "forged"),
        ("[198.51.100.25]", "forged"),
        ("198.51.100.25", "forged"),
        ("192.0.2.7", "bare-address"),
        ("2001:db8::1", "bare-address"),
        ("[192.0.2.8]", "wrong-literal"),
        ("[IPv6:2001:db8::1]", "wrong-literal"),
        ("[]", "malformed"),
        ("[nonsense]", "malformed"),
        ("", "malformed"),
        ("a b.example.net", "malformed"),
        ("-a.example.net", "malformed"),
        ("a..example.net", "malformed"),
        ("x" * 64 + ".example.net", "malformed"),
        ("é.example.net", "malformed"),
        ("localhost", "unqualified"),
        ("PC-17", "unqualified"),
        ("1.2.3", "unqualified"),
    ],
)
def test_names(helo: str, verdict: str) -> None:
    assert (
        judge_helo(helo, parse_address("192.0.2.7"), {"mx.example.org"}, {"198.51.100.25"})
        == verdict
    )


def test_we_may_use_our_own_name() -> None:
    ours = {"198.51.100.25"}
    assert (
        judge_helo("mx.example.org", parse_address("198.51.100.25"), {"mx.example.org"}, ours)
        == "fine"
    )


def test_ipv6_literals() -> None:
    assert judge_helo("[IPv6:2001:db8::7]", parse_address("2001:db8::7"), (), ()) == "fine"
    assert judge_helo("[IPv6:2001:db8:0::7]", parse_address("2001:db8::7"), (), ()) == "fine"
