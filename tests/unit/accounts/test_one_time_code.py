"""Codes of RFC 6238."""

from __future__ import annotations

import pytest

from accounts.one_time_code import STEP, code_at, matching_step, new_secret, uri

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("now", "code"),
    [
        # RFC 6238 appendix B, the last six of eight digits
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_vectors(now: int, code: str) -> None:
    assert code_at(SECRET, now // STEP) == code
    assert matching_step(SECRET, code, now) == now // STEP
    for away, found in ((-2, None), (-1, now // STEP), (1, now // STEP), (2, None)):
        assert matching_step(SECRET, code, now + away * STEP) == found


@pytest.mark.parametrize("code", ["", "28708", "2870820", "x", "ü" * 6, "\ud800"])
def test_other_texts_match_nothing(code: str) -> None:
    assert matching_step(SECRET, code, 59) is None
    assert matching_step(SECRET, code, 0) is None


def test_the_text_of_the_picture() -> None:
    made = uri("ABC", "mail.example", "anna&x=1/@a.example")
    assert made == (
        "otpauth://totp/mail.example:anna%26x%3D1%2F@a.example?secret=ABC&issuer=mail.example"
    )


def test_secrets_differ() -> None:
    assert len({new_secret() for _ in range(5)}) == 5
    assert len(new_secret()) == 20
