"""Where a comment ends: authentication results and authors are read by it."""

import pytest

from msgauth.comment import MAX_NESTING, end_of_comment


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("(a) b", "(a)"),
        ("(a (b) c) d)", "(a (b) c)"),
        (r"(a \) b) c", r"(a \) b)"),
        (r"(a \\) b)", r"(a \\)"),
        ("(a\r\n b) c", "(a\r\n b)"),
        ("(" * MAX_NESTING + ")" * MAX_NESTING, "(" * MAX_NESTING + ")" * MAX_NESTING),
    ],
)
def test_it_ends_at_its_own_parenthesis(text: str, comment: str) -> None:
    assert end_of_comment(f"x{text}", 1) == 1 + len(comment)


@pytest.mark.parametrize(
    "text", ["(", "(a (b)", r"(a \)", "(" * (MAX_NESTING + 1) + ")" * (MAX_NESTING + 1)]
)
def test_it_has_no_end_or_is_too_deep(text: str) -> None:
    assert end_of_comment(text, 0) is None
