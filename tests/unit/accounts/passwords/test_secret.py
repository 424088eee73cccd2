"""The password that somebody sent: its bounds, its two forms, and that no text shows it."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.passwords import BadPassword, Password


def test_nothing_is_trimmed() -> None:
    assert Password(" a b ").forms == (b" a b ",)


def test_a_decomposed_letter_is_checked_in_both_forms() -> None:
    sent = unicodedata.normalize("NFD", "Pöst")
    assert Password(sent).forms == ("Pöst".encode(), sent.encode())
    assert Password(sent).text == "Pöst"


def test_octets_that_are_no_utf8_are_checked_as_they_are() -> None:
    password = Password(b"P\xf6st")
    assert password.forms == (b"P\xf6st",)
    with pytest.raises(BadPassword, match="UTF-8"):
        _ = password.text


@pytest.mark.parametrize("sent", ["", b"", "a\0b", b"\0", "x" * 513, "ö" * 257, "\ud800"])
def test_bounds(sent: str | bytes) -> None:
    with pytest.raises(BadPassword) as raised:
        Password(sent)
    assert "xxx" not in str(raised.value)


def test_the_longest_one() -> None:
    assert len(Password("x" * 512).forms[0]) == 512


@given(st.text(min_size=8, max_size=100).filter(lambda text: "\0" not in text))
def test_no_text_shows_it(text: str) -> None:
    try:
        password = Password(text)
    except BadPassword:
        return
    for shown in (repr(password), str(password), f"{password}"):
        assert shown == "Password(...)"
    with pytest.raises(TypeError):
        pickle.dumps(password)
