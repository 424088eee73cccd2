"""Token buckets and sets of recent things."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policyd.buckets import (
    Bucket,
    Rate,
    RecentItems,
    bucket_entry,
    note_recent,
    read_bucket,
    read_recent,
    recent_entry,
    refill,
    take,
    wait_for,
)
from policyd.stores import StoreEntry

RATE = Rate(10, 100.0)


def test_a_burst_of_the_limit_and_no_more() -> None:
    bucket = None
    results = []
    for _ in range(12):
        bucket, enough = take(bucket, 1000.0, RATE, 1)
        results.append(enough)
    assert results == [True] * 10 + [False] * 2
    assert bucket is not None
    assert wait_for(bucket, RATE, 1) == pytest.approx(10.0)
    assert take(bucket, 1009.9, RATE, 1)[1] is False
    assert take(bucket, 1010.0, RATE, 1)[1] is True


def test_what_costs_more_than_the_limit_never_fits() -> None:
    bucket, enough = take(None, 0.0, RATE, 11)
    assert not enough
    assert wait_for(bucket, RATE, 11) == 0.0


def test_a_clock_that_was_set_back_fills_nothing() -> None:
    bucket, _ = take(None, 1000.0, RATE, 10)
    assert refill(bucket, 500.0, RATE).tokens == 0


def test_servers_whose_clocks_differ_let_no_more_pass() -> None:
    """Two, one of them 5 s ahead, that ask about one bucket in turn."""
    bucket, taken = None, 0
    for second in range(200):
        for ahead in (5.0, 0.0):
            bucket, enough = take(bucket, second + ahead, RATE, 1)
            taken += enough
    assert taken <= RATE.limit + (200 + 5) * RATE.limit / RATE.period


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 5)), max_size=60), st.integers(1, 20))
@example([(0.0, 2), (49.99999999999999, 1)], 2)  # enough but for a rounding
def test_in_any_stretch_there_is_at_most_a_burst_and_the_rate(
    steps: list[tuple[float, int]], limit: int
) -> None:
    rate = Rate(limit, 100.0)
    now, bucket, taken = 0.0, None, 0
    for pause, cost in steps:
        now += pause
        bucket, enough = take(bucket, now, rate, cost)
        taken += cost if enough else 0
        assert 0 <= bucket.tokens <= limit
        assert taken <= limit + now * limit / 100.0 + 1e-6


@given(st.floats(0, 10), st.floats(0, 2e9))
def test_a_bucket_is_kept_until_it_is_full(tokens: float, time: float) -> None:
    bucket = Bucket(tokens, time)
    entry = bucket_entry(bucket, RATE)
    read = read_bucket(entry)
    assert read is not None
    assert read.tokens == pytest.approx(tokens, abs=1e-5)
    assert read.time == pytest.approx(time, abs=1e-2)
    assert refill(bucket, float(entry.expires), RATE).tokens == pytest.approx(RATE.limit)


@pytest.mark.parametrize("value", ["", "x", "1", "1 2 3", "a b", "x=y"])
def test_what_nobody_wrote_is_nothing(value: str) -> None:
    assert read_bucket(StoreEntry(value, 1)) is None
    assert read_recent(StoreEntry(value, 1)) == RecentItems()


def test_recent_things() -> None:
    recent = RecentItems()
    for time, name in enumerate("abcab"):
        recent = note_recent(recent, name, time, 100, 10)
    assert recent.items == (("c", 2), ("a", 3), ("b", 4))
    assert note_recent(recent, "d", 103, 100, 10).items == (("b", 4), ("d", 103))
    assert note_recent(recent, "d", 5, 100, 2).items == (("b", 4), ("d", 5))
    assert read_recent(recent_entry(recent, 4, 100)) == recent
