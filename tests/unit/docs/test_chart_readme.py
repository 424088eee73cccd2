"""The README of the chart is what `make docs` writes from its values."""

from __future__ import annotations

from tools.scripts import chart_readme

VALUES = """\
# Of no key.

# One.
# More.
one: 1

# Two.
two:
  a: {b: [c, d]}
  # Deep.
  e:
    # Deeper.
    f: x|y

# For those below.

# And these.

three: []
# Four.
four: ''
"""
CHART = {key: key for key in ("name", "description", "kubeVersion", "version", "appVersion")}


def test_it_is_that_of_the_values() -> None:
    assert chart_readme.README.read_text() == chart_readme.current(), "run `make docs`"


def test_each_key_has_its_default_and_its_comment() -> None:
    found = chart_readme.sections(VALUES)
    assert [(each.name, each.comment) for each in found] == [
        ("", "Of no key."),
        ("two", "Two."),
        ("", "For those below.\n\nAnd these."),
    ]
    values = [(one.path, one.default, one.comment) for each in found for one in each.values]
    assert values == [
        ("one", "1", "One. More."),
        ("two.a", "{b: [c, d]}", ""),
        ("two.e.f", "x|y", "Deep. Deeper."),
        ("three", "[]", ""),
        ("four", "''", "Four."),
    ]


def test_it_is_a_table_for_each_section() -> None:
    page = chart_readme.page(VALUES, CHART)
    assert "| `two.e.f` | `x\\|y` | Deep. Deeper. |\n" in page
    assert "\n## `two`\n\nTwo.\n\n| key | default | meaning |\n" in page
    assert "\n## `three`, `four`\n\nFor those below.\n\nAnd these.\n\n| key |" in page
