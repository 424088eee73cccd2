from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milters.keys.state import (
    NEXT,
    KeyLife,
    KeyState,
    KeyStateError,
    new_selector,
    parse_states,
    print_states,
)

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

moments = st.integers(0, 200_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
lives = st.builds(
    KeyLife, st.sampled_from(KeyState), st.dictionaries(st.sampled_from(KeyState), moments)
)
selectors = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9_]{1,8})?", fullmatch=True)


@given(st.dictionaries(selectors, lives, max_size=5))
def test_what_is_printed_is_read_back(states: dict[str, KeyLife]) -> None:
    assert parse_states(print_states(states)) == states


@given(st.one_of(st.text(max_size=200), st.text(alphabet='[]"= \nstaenw.-1T:Z', max_size=80)))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(KeyStateError):
        parse_states(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('["s1"]\nstate = "on"', "new, published, active, retired, revoked"),
        ("s1 = 3", "needs state"),
        ('["s1"]\nstate = ["active"]', "needs state"),
        ('["../s1"]\nstate = "active"', "not a selector"),
        ('["s1"]\nstate = "active"\nactive = 2026-11-21', "the date of each state in UTC"),
        ('["s1"]\nstate = "active"\nactive = 2026-11-21T10:00:00', "in UTC"),
        ('["s1"]\nstate = "active"\ncomment = "mine"', "'comment'"),
        ("[", "not TOML"),
        ("s1 = " + "[" * 100_000, "nested too deep"),
        ("s1 = " + "{s1=" * 100_000, "nested too deep"),
        ("s1 = " + "9" * 10_000, "a number is too long"),
        ('["s1"]\nstate = "active"\nactive = 0001-01-01T00:00:00+23:59', "no such date"),
        ('["s1"]\nstate = "active"\nactive = 9999-12-31T23:59:59-23:59', "no such date"),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_wrong_is_told(text: str, told: str) -> None:
    with pytest.raises(KeyStateError) as caught:
        parse_states(text)
    assert told in str(caught.value)


def test_a_date_of_another_zone_is_the_same_moment() -> None:
    text = '["s1"]\nstate = "active"\nactive = 2026-11-21T12:00:00+02:00'
    assert parse_states(text)["s1"].since[KeyState.ACTIVE] == NOW


def test_a_life() -> None:
    life = KeyLife.begin(KeyState.NEW, NOW)
    for days, state in enumerate(
        (KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRED, KeyState.REVOKED), 1
    ):
        life = life.enter(state, NOW + timedelta(days=days))
        assert life.state is state
    assert len(life.since) == 5
    assert life.since[KeyState.ACTIVE] == NOW + timedelta(days=2)


def test_a_revoked_key_never_comes_back() -> None:
    life = KeyLife.begin(KeyState.REVOKED, NOW)
    for state in set(KeyState) - {KeyState.REVOKED}:
        with pytest.raises(KeyStateError):
            life.enter(state, NOW)


def test_a_key_that_was_public_is_never_new_again() -> None:
    assert all(KeyState.NEW not in after for after in NEXT.values())


def test_entering_the_same_state_keeps_the_date() -> None:
    life = KeyLife.begin(KeyState.ACTIVE, NOW)
    assert life.enter(KeyState.ACTIVE, NOW + timedelta(days=1)) is life


def test_new_selectors_say_when_and_what() -> None:
    assert new_selector("rsa", NOW, frozenset()) == "202611r"
    assert new_selector("ed25519", NOW, frozenset({"202611r"})) == "202611e"
    assert new_selector("rsa", NOW, frozenset({"202611r", "202611r2"})) == "202611r3"
    new_year = datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert new_selector("rsa", new_year, frozenset()) == "202612r"
