"""Tables and fields within 80 columns."""

from __future__ import annotations

from itertools import islice, repeat

from hypothesis import given
from hypothesis import strategies as st

from accounts.cli.layout import SAMPLE, WIDTH, columns, field_lines, table_lines

CELL = st.text(st.characters(codec="utf-8"), max_size=200)


def test_cells_are_aligned() -> None:
    lines = list(table_lines(("NAME", "QUOTA"), [("anna", "5G"), ("b", "none")]))
    assert lines == ["NAME  QUOTA", "anna  5G", "b     none"]


def test_words_are_broken_only_if_nothing_else_helps() -> None:
    time = "2026-11-27 00:59 UTC"
    heads = ("ADDRESS", "NUMBER", "REMOVED", "BY", "SIZE", "MAIL UNTIL")
    row = ("carl@example.org", "1", time, "gatepost@cli", "unknown", time)
    lines = list(table_lines(heads, [row]))
    assert lines[1].startswith("carl@example.org  1 ")
    assert all(len(line) <= WIDTH for line in lines)
    assert "00:59 UTC" in lines[2]


def test_no_rows_are_no_table() -> None:
    assert list(table_lines(("NAME",), [])) == []


def test_a_long_cell_goes_on_below() -> None:
    lines = list(table_lines(("NAME", "TEXT"), [("anna", " ".join(["word"] * 30))]))
    assert all(len(line) <= WIDTH for line in lines)
    assert all(line.startswith(("NAME  ", "anna  ", "      ")) for line in lines)
    assert "".join(line[6:] + " " for line in lines).split()[1:] == ["word"] * 30


def test_an_address_of_254_octets_is_shown_whole() -> None:
    address = "a" * 64 + "@" + "b" * 189
    lines = list(table_lines(("ADDRESS", "NAME"), [(address, "Anna")]))
    assert "".join(line[:-6].strip() if "Anna" in line else line for line in lines[1:]) == address


def test_wide_characters_take_two_columns() -> None:
    lines = list(table_lines(("A", "B"), [("日本", "x"), ("abcd", "y")]))
    assert lines == ["A     B", "日本  x", "abcd  y"]
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1


def test_nothing_reaches_the_terminal_as_a_command() -> None:
    (_, line) = table_lines(("A",), [("\x1b[2J\n\u202e",)])
    assert line == "\\x1b[2J\\n\\u202e"
    (line,) = field_lines([("a", "\x07")])
    assert line == "a  \\x07"


def test_rows_without_end_are_printed_as_they_come() -> None:
    assert len(list(islice(table_lines(("A",), repeat(("x",))), 5000))) == 5000


def test_rows_behind_the_sample_have_room_to_grow() -> None:
    rows = [(str(number), f"User {number}") for number in range(SAMPLE + 1)]
    lines = list(table_lines(("NO.", "NAME"), rows))
    assert len(lines) == len(rows) + 1
    assert lines[-1].split("  ")[-1].strip() == f"User {SAMPLE}"


@given(st.lists(st.tuples(CELL, CELL, CELL, CELL, CELL, CELL), min_size=1, max_size=5))
def test_a_table_fits_whatever_is_in_it(rows: list[tuple[str, ...]]) -> None:
    for line in table_lines(("A", "B", "C", "D", "E", "F"), rows):
        assert columns(line) <= WIDTH
        assert line.isprintable()


@given(st.lists(st.tuples(st.sampled_from(["name", "may receive"]), CELL), max_size=5))
def test_fields_fit_whatever_is_in_them(pairs: list[tuple[str, str]]) -> None:
    for line in field_lines(pairs):
        assert columns(line) <= WIDTH


def test_each_line_of_a_cell_keeps_its_characters() -> None:
    lines = list(table_lines(("A", "B"), [("日" * 70, "本" * 70)]))
    assert "".join(lines).count("日") == "".join(lines).count("本") == 70
