"""The rules for new passwords."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.passwords import (
    BadPassword,
    Password,
    PasswordSettings,
    WeakPassword,
    check_new,
    new_app_password,
)
from accounts.passwords.common import common_words
from accounts.passwords.strength import LONG

SETTINGS = PasswordSettings()
LOGIN = "anna.miller@mail.example.org"


def reason(text: str | bytes, login: str = LOGIN) -> str:
    try:
        check_new(Password(text), login, SETTINGS)
    except WeakPassword as weak:
        return weak.reason
    return "ok"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x7!Kq-2mZ", "short"),
        ("öööööö", "short"),  # twelve octets, six characters
        ("Password1!", "common"),
        ("P@ssw0rd2024", "common"),
        ("p4$$w0rd!!!", "common"),
        ("passwordpassword", "common"),
        ("Pass-Word 2026", "common"),
        ("Pässwörd1!", "common"),
        ("Summer2026!", "common"),
        ("!!iloveyou!!", "common"),
        ("Liverpool1892", "common"),
        ("monkey123456789", "common"),
        ("$ecurity12", "common"),
        ("1qaz2wsx3edc", "sequence"),
        ("1q2w3e4r5t", "sequence"),
        ("poiuytrewqlkjhg", "sequence"),
        ("qwer1234asdf", "sequence"),
        ("zzzzzzzzzz", "sequence"),
        ("xkqzpwxkqzpw", "sequence"),
        ("z" * LONG, "sequence"),
        ("ab" * 200, "sequence"),
        ("1234567890", "number"),
        ("19.11.1984", "number"),
        ("+49 30 1234567", "number"),
        ("0301 8472936", "number"),
        ("anna.miller1", "address"),
        ("AnnaMiller!", "address"),
        ("Anna123456", "address"),
        ("rellim.anna", "address"),
        ("annaannaanna", "address"),
        ("Miller2024!", "address"),
        ("anna.miller@mail.example.org", "address"),
        ("x-mail.example.org-x", "address"),
        ("tab\tin the middle", "not-text"),
        (b"P\xf6stbote-17", "not-text"),
        ("83920174652839", "ok"),
        ("correct horse battery", "ok"),
        ("ärger-mit-öl", "ok"),
        ("xkqzpwtvmy", "ok"),
        ("monkey38572947", "ok"),
        ("mountain coffee", "ok"),
    ],
)
def test_reasons(text: str | bytes, expected: str) -> None:
    assert reason(text) == expected


def test_the_name_of_an_administrator_counts_too() -> None:
    assert reason("postmaria99", "postmaria") == "address"
    assert reason("postmaria99") == "ok"


@pytest.mark.parametrize("login", ["", "@", "a@b", "a"])
def test_a_short_login_refuses_nothing(login: str) -> None:
    assert reason("xkqzpwtvmy", login) == "ok"


def test_the_minimum_is_a_setting() -> None:
    check_new(Password("x7!Kq-2m"), LOGIN, PasswordSettings(minimum_length=8))


def test_the_sentence_says_what_is_asked_for() -> None:
    with pytest.raises(WeakPassword, match="has 4 characters: it needs at least 10"):
        check_new(Password("kurz"), LOGIN, SETTINGS)


def test_the_words_have_the_form_that_is_compared() -> None:
    words = common_words()
    assert len(words) > 2000
    assert all(word.isascii() and word.isalpha() and word == word.lower() for word in words)


@given(st.sampled_from(sorted(common_words())), st.integers(0, 9999), st.booleans())
def test_a_year_after_any_word_does_not_help(word: str, number: int, capital: bool) -> None:
    text = f"{word.capitalize() if capital else word}{number:04}"
    assert reason(text) in ("common", "sequence", "short", "address")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300))
def test_any_text_gets_an_answer_in_bounded_time(text: str) -> None:
    start = time.thread_time()
    with suppress(BadPassword):  # longer than 512 octets
        assert reason(text)
    assert time.thread_time() - start < 1


@pytest.mark.parametrize(
    "text", ["1!" * 15 + "a" + "!1" * 15, "1" * 31 + "a" + "2" * 31, "a" * 511 + "b"]
)
def test_many_signs_around_a_letter_take_no_time(text: str) -> None:
    start = time.thread_time()
    reason(text)
    assert time.thread_time() - start < 0.2


def test_app_passwords_pass() -> None:
    for _ in range(20):
        assert reason(new_app_password()[0]) == "ok"
