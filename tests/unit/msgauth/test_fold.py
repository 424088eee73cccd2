import pytest
from hypothesis import given
from hypothesis import strategies as st

from msgauth.fold import WIDTH, FoldError, fold, fold_anywhere, require_folded, require_printable

WORDS = st.lists(st.text(alphabet="abc", min_size=1, max_size=WIDTH - 2), max_size=40)


def test_short_text_stays_on_one_line() -> None:
    assert fold(["a;", "b;"]) == "a; b;"
    assert fold([]) == ""


def test_a_fold_stands_for_the_space() -> None:
    assert fold(["a" * 40, "b" * 40, "c"]) == "a" * 40 + "\r\n " + "b" * 40 + " c"


def test_a_visible_glue_stays_at_the_end_of_the_line() -> None:
    assert fold(["a" * 40, "b" * 40], glue=":") == "a" * 40 + ":\r\n " + "b" * 40


def test_the_first_line_is_shorter_behind_the_name() -> None:
    assert fold(["a" * 30, "b" * 30], column=20) == "a" * 30 + "\r\n " + "b" * 30


@pytest.mark.parametrize("bad", ["a\r\nX: injected", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\tb"])
def test_nothing_can_be_injected(bad: str) -> None:
    with pytest.raises(FoldError, match="control character"):
        fold(["x", bad])
    with pytest.raises(FoldError, match="control character"):
        require_printable(bad)


def test_text_that_is_folded_already() -> None:
    for text in ("", "a b", "a;\r\n b;\r\n\tc", "é"):
        assert require_folded(text) == text


@pytest.mark.parametrize(
    "bad", ["a\r\nb", "a\r\n b\r\n", "a\r\n \r\n b", "a\n b", "a\rb", "\0", "x" * 999]
)
def test_text_that_is_not_folded_well(bad: str) -> None:
    with pytest.raises(FoldError):
        require_folded(bad)


@given(WORDS, st.sampled_from([" ", ":", ", "]), st.integers(1, 30))
def test_no_line_is_too_long_and_nothing_is_lost(words: list[str], glue: str, column: int) -> None:
    text = fold(words, glue, column)
    first, *others = text.split("\r\n")
    longest_first = max(WIDTH - column, len(words[0]) + 1 if words else 0)
    assert len(first) <= longest_first
    assert all(line.startswith(" ") and len(line) <= WIDTH for line in others)
    assert text.replace("\r\n ", " " if glue == " " else glue[1:]) == glue.join(words)


@given(st.text(alphabet="abc", max_size=1000), st.integers(1, 40))
def test_fold_anywhere(text: str, column: int) -> None:
    first, *others = fold_anywhere(text, column).split("\r\n")
    assert len(first) <= WIDTH - column
    assert all(line.startswith(" ") and 2 <= len(line) <= WIDTH for line in others)
    assert "".join([first, *(line[1:] for line in others)]) == text
