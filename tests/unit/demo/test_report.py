import pytest

from tools.demo.record import Record
from tools.demo.report import MAX_WIDTH, MIN_WIDTH, problems, table, verdict
from tools.demo.scene import Scene

SCENE = Scene(5, "A first-time sender waits", lambda _ground, _record: None)
GOOD = Record("by a stranger", "450 4.2.0 " + "Greylisted " * 10, "X-Greylist: delayed 2 seconds")


def bad() -> Record:
    record = Record("by a stranger", "250 2.0.0 Ok", "at once")
    record.expect("the first answer", 450, 250)
    record.expect("the subject", "any", "this", ok=True)
    return record


@pytest.mark.parametrize("width", [10, MIN_WIDTH, 97, MAX_WIDTH, 300])
def test_the_table_keeps_between_its_bounds(width: int) -> None:
    lines = table([(SCENE, GOOD)], width).splitlines()
    assert max(map(len, lines)) == min(max(width, MIN_WIDTH), MAX_WIDTH)
    assert lines[2].startswith("5   A first-time")
    assert lines[2].endswith("ok")


def test_every_word_of_a_cell_is_in_the_table() -> None:
    assert table([(SCENE, GOOD)], 80).count("Greylisted") == 10


def test_the_names_of_the_demonstration_fit_into_the_narrowest_table() -> None:
    record = Record(
        "by 192.0.2.66, which bl.gatepost.test lists",
        "450 4.2.0 <bob@gatepost.test>: no",
        "X-Greylist: delayed 2 seconds by gatepost at mx.gatepost.test; Thu",
    )
    words = table([(SCENE, record)], MIN_WIDTH).split()
    assert {"bl.gatepost.test", "<bob@gatepost.test>:", "mx.gatepost.test;"} <= set(words)


def test_a_line_of_a_cell_stays_a_line() -> None:
    record = Record("", "450 4.2.0 no\n250 2.0.0 Ok", "")
    lines = table([(SCENE, record)], 100).splitlines()
    assert "450 4.2.0 no" in lines[2]
    assert "250 2.0.0 Ok" in lines[3]


def test_colour_changes_nothing_but_colour() -> None:
    coloured = table([(SCENE, bad())], 100, colour=True)
    assert "\033[31mNO\033[0m" in coloured
    for code in ("\033[0m", "\033[1m", "\033[2m", "\033[31m"):
        coloured = coloured.replace(code, "")
    assert coloured == table([(SCENE, bad())], 100)


def test_a_problem_is_told_with_what_was_expected_and_seen() -> None:
    assert problems([(SCENE, GOOD), (SCENE, bad())]).splitlines() == [
        "scene 5, A first-time sender waits: the first answer",
        "    expected  450",
        "    seen      250",
    ]


def test_the_verdict_counts() -> None:
    assert verdict([(SCENE, GOOD)], 6.04) == "All 1 scenes went as expected (6.0 s)."
    assert "1 of 2 scenes did NOT" in verdict([(SCENE, GOOD), (SCENE, bad())], 6)
