"""Values of options, and how people read them."""

from __future__ import annotations

import time

import click
import pytest

from accounts.cli.trace import PastTimeParameter
from accounts.cli.values import (
    CLEARED,
    DecimalParameter,
    FlagParameter,
    NumberParameter,
    SizeParameter,
    TimeParameter,
    date_text,
    flag_text,
    size_text,
    state_text,
    time_text,
)

BAD = ["", " ", "x", "-1", "1.5.5", "9" * 100, "5X", "\0", "٣", "1e400x"]


@pytest.mark.parametrize(
    "kind", [NumberParameter("N"), SizeParameter("S"), TimeParameter("T"), DecimalParameter("D")]
)
@pytest.mark.parametrize("text", ["none", "None", " NONE "])
def test_none_takes_a_value_away(kind: click.ParamType, text: str) -> None:  # type: ignore[type-arg]
    assert kind.convert(text, None, None) is CLEARED


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("kind", [NumberParameter("N"), SizeParameter("S"), TimeParameter("T")])
def test_another_text_is_refused(kind: click.ParamType, text: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("0", 0), ("5G", 5 << 30), ("500M", 500 << 20), ("7", 7), ("1024K", 1 << 20)],
)
def test_a_size_is_read_and_written(text: str, octets: int) -> None:
    assert SizeParameter("SIZE").convert(text, None, None) == octets
    assert SizeParameter("SIZE").convert(size_text(octets), None, None) == octets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-02T01:00", 90000),
        ("1970-01-02T01:00+01:00", 86400),
        ("1970-01-02 01:00Z", 90000),
    ],
)
def test_a_time_is_in_utc_unless_it_says_otherwise(text: str, seconds: int) -> None:
    assert TimeParameter("TIME").convert(text, None, None) == seconds


def test_a_duration_is_from_now_on() -> None:
    found = TimeParameter("TIME").convert("30d", None, None)
    assert abs(found - time.time() - 30 * 86400) < 10


def test_texts() -> None:
    assert time_text(0) == "1970-01-01 00:00 UTC"
    assert date_text(253_402_300_799) == "9999-12-31"
    assert time_text(None) == date_text(None) == "never"
    assert size_text(None) == "none"
    assert state_text(disabled=True, no_login=True, other=False) == "disabled, no login"
    assert FlagParameter().convert(flag_text(True), None, None) is True
    assert FlagParameter().convert(flag_text(False), None, None) is False


@pytest.mark.parametrize(
    ("text", "before"), [("10m", 600), ("10 min", 600), ("10min", 600), ("2h", 7200), ("1d", 86400)]
)
def test_a_time_in_the_past_is_read_as_the_trace_prints_it(text: str, before: int) -> None:
    found = PastTimeParameter().convert(text, None, None)
    assert abs(found - (time.time() - before)) < 5
    assert PastTimeParameter().convert("2027-01-31", None, None) == 1801353600


@pytest.mark.parametrize("text", ["", "none", "x", "5X", "10 minutes ago", "-5m", "\0", "9" * 100])
def test_another_time_in_the_past_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2 hours ago"):
        PastTimeParameter().convert(text, None, None)
