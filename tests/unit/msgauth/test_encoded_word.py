"""Encoded words, as programs decode them that are not strict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.encoded_word import encoded_words, neighbours


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("", []),
        ("=?utf-8?q?a=40b_c?=", ["a@b c"]),
        ("=?UTF-8?Q?=c3=A4?=x=?iso-8859-1?b?5A==?=", ["ä", "ä"]),
        ("=?utf-8*de?q?x?=", ["x"]),
        ("=?utf-8?q?a, b=?c?=", [None]),
        ("=?utf-8?q?no end", []),
        ("=?utf-8?x?no?=", []),
        ("=?x-unknown?q?x?=", [None]),
        ("=?rot13?q?x?=", [None]),
        ("=?utf-*7?q?x?=", [None]),
        ("=?utf- 8?q?x?=", [None]),
        ("=?utf-8*7?q?x?=", [None]),
        ("=?idna?q?x?=", [None]),
        ("=?utf-8?b?YQ?=", [None]),
        ("=?utf-8?b?Y Q==?=", [None]),
        ("=?utf-8?q?=FF?=", [None]),
        ("=?utf-8?q?ü?=", ["ü"]),
        ("=?utf-8?q?x?<= =?utf-8?q?=40y?=", [None]),
        # programs that join words before they decode them, or that leave a fold out, find "@"
        ("=?utf-8?q?x=4?= =?utf-8?q?0y?=", [None, "0y"]),
        ("=?utf-8?q?x=\r\n 40y?=", [None]),
        ("=?iso-2022-jp?b?GyRC?= =?iso-2022-jp?q?!w?=", [None, "!w"]),
        ("=?iso-2022-jp?b?GyRCRURDZhsoQg==?=", ["田中"]),
        ("=?utf-7?q?x+AEA?= =?utf-7?q?-y?=", [None, "-y"]),
    ],
)
def test_words(text: str, decoded: list[str | None]) -> None:
    words = list(encoded_words(text))
    assert [word.text for word in words] == decoded
    assert all(text[word.start : word.end].startswith("=?") for word in words)
    assert all(text[word.start : word.end].endswith("?=") for word in words)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=?utf-8?q?ab?=", False),
        ("=?utf-8?q?a=40b?=", True),
        ("=?utf-8?q?a=EF=BC=A0b?=", True),
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3F=3D40=3F=3D?=", True),
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=", False),
        ("=?x-unknown?q?x?=", True),
    ],
)
def test_what_a_word_may_show(text: str, shown: bool) -> None:
    assert [word.may_show("@") for word in encoded_words(text)] == [shown]


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("=?utf-8?q?a?=", []),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", []),
        ("=?utf-8?q?a?= =?utf-8?q?b?=\r\n =?utf-8?q?c?=, =?utf-8?q?d?=", ["abc"]),
        ("=?utf-8?q?a?= b =?utf-8?q?c?==?utf-8?q?d?=", ["cd"]),
        ("=?utf-8?q?a?= =?x-unknown?q?b?=", []),
    ],
)
def test_neighbours_are_shown_as_one(text: str, decoded: list[str]) -> None:
    runs = list(neighbours(text, list(encoded_words(text))))
    assert [run.text for run in runs] == decoded
    assert all(text[run.start :].startswith("=?") for run in runs)


@given(st.text("=?utf-8qb@_ABC=40", max_size=60))
def test_words_of_any_text_are_in_order_and_apart(text: str) -> None:
    end = 0
    for word in encoded_words(text):
        assert end <= word.start < word.end <= len(text)
        end = word.end
        word.may_show("@")
