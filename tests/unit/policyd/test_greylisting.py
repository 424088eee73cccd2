"""The decision of greylisting, as tables and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd import records
from policyd.greylisting import (
    ClientRecord,
    GreylistRecords,
    GreylistResult,
    GreylistRules,
    TripletRecord,
    client_expires,
    decide,
    merge_clients,
    merge_triplets,
    triplet_expires,
)

NOW = 1_700_000_000
RULES = GreylistRules(delay=300, retry_window=7200, max_age=86400, auto_allow_after=3)
NOTHING = GreylistRecords(None, None)


def after(
    *attempts: int, seen: GreylistRecords = NOTHING, rules: GreylistRules = RULES
) -> tuple[GreylistRecords, list[GreylistResult]]:
    results = []
    for attempt in attempts:
        seen, verdict = decide(seen, NOW + attempt, rules)
        results.append(verdict.result)
    return seen, results


@pytest.mark.parametrize(
    ("attempts", "results"),
    [
        ((0,), ["new"]),
        ((0, 1), ["new", "early"]),
        ((0, 299), ["new", "early"]),
        ((0, 300), ["new", "passed"]),
        ((0, 100, 300), ["new", "early", "passed"]),
        ((0, 7200), ["new", "passed"]),
        ((0, 7201), ["new", "new"]),
        ((0, 7201, 7501), ["new", "new", "passed"]),
        ((0, 300, 301), ["new", "passed", "known"]),
        ((0, 300, 300 + 86400), ["new", "passed", "known"]),
        ((0, 300, 301 + 86400), ["new", "passed", "new"]),
        # the clock was set back by years
        ((0, -100_000_000, -99_999_700), ["new", "new", "passed"]),
    ],
)
def test_one_triplet(attempts: tuple[int, ...], results: list[str]) -> None:
    assert after(*attempts)[1] == results


def test_what_it_tells_the_client_and_the_header() -> None:
    seen, first = decide(NOTHING, NOW, RULES)
    assert (first.wait, first.passes) == (300, False)
    seen, early = decide(seen, NOW + 100, RULES)
    assert (early.wait, early.passes) == (200, False)
    seen, passed = decide(seen, NOW + 400, RULES)
    assert (passed.delayed, passed.passes) == (400, True)


def test_an_early_retry_changes_nothing() -> None:
    seen, _ = decide(NOTHING, NOW, RULES)
    again, _ = decide(seen, NOW + 1, RULES)
    assert again.triplet is seen.triplet


def test_a_known_triplet_is_written_only_now_and_then() -> None:
    seen, _ = after(0, 300)
    for seconds in (301, 1000, 300 + RULES.refresh - 1):
        again, _ = decide(seen, NOW + seconds, RULES)
        assert again.triplet is seen.triplet
    later, _ = decide(seen, NOW + 300 + RULES.refresh, RULES)
    assert later.triplet == TripletRecord(NOW, NOW + 300 + RULES.refresh, NOW + 300)


def test_without_delay_nothing_is_deferred_and_all_is_learned() -> None:
    seen, results = after(0, 1, rules=GreylistRules(delay=0))
    assert results == ["known", "known"]
    assert seen.triplet == TripletRecord(NOW, NOW, NOW)


def test_a_client_that_comes_back_is_trusted() -> None:
    client = None
    for n in range(3):
        start = n * 7200
        seen, results = after(start, start + 300, seen=GreylistRecords(None, client))
        assert results == ["new", "passed"]
        client = seen.client
    assert client is not None
    assert client.returns == 3
    assert after(30000, seen=GreylistRecords(None, client))[1] == ["auto-allowed"]
    # and is forgotten after max_age
    assert after(40000 + 86400, seen=GreylistRecords(None, client))[1] == ["new"]


def test_many_returns_within_an_hour_are_one() -> None:
    client = None
    for start in range(0, 3000, 10):
        seen, _ = after(start, start + 300, seen=GreylistRecords(None, client))
        client = seen.client
    assert client is not None
    assert client.returns == 1


def test_no_client_is_trusted_when_it_is_off() -> None:
    trusted = ClientRecord(1000, NOW)
    rules = GreylistRules(auto_allow_after=0)
    assert decide(GreylistRecords(None, trusted), NOW, rules)[1].result == "new"


times = st.integers(0, 200_000)


@given(st.lists(times, max_size=30).map(sorted))
def test_nothing_passes_before_its_delay(attempts: list[int]) -> None:
    seen: GreylistRecords = NOTHING
    first: int | None = None
    for attempt in attempts:
        seen, verdict = decide(seen, NOW + attempt, RULES)
        if verdict.result is GreylistResult.NEW:
            first = attempt
        elif verdict.result is GreylistResult.EARLY:
            assert first is not None
            assert attempt - first < RULES.delay
            assert verdict.wait == RULES.delay - (attempt - first)
        elif verdict.result is GreylistResult.PASSED:
            assert first is not None
            assert RULES.delay <= attempt - first <= RULES.retry_window


@given(st.lists(times, max_size=30).map(sorted))
def test_what_has_expired_in_the_store_makes_no_difference(attempts: list[int]) -> None:
    """A store may drop an entry the moment it expires, and not a moment earlier."""
    kept: GreylistRecords = NOTHING
    dropped: GreylistRecords = NOTHING
    for attempt in attempts:
        now = NOW + attempt
        triplet, client = dropped
        if triplet and triplet_expires(triplet, RULES) <= now:
            triplet = None
        if client and client_expires(client, RULES) <= now:
            client = None
        kept, verdict = decide(kept, now, RULES)
        dropped, same = decide(GreylistRecords(triplet, client), now, RULES)
        assert verdict == same


triplets = st.builds(TripletRecord, times, times, times)


@given(triplets, triplets, triplets)
def test_merging_is_in_any_order(
    one: TripletRecord, other: TripletRecord, third: TripletRecord
) -> None:
    assert merge_triplets(one, other) == merge_triplets(other, one)
    assert merge_triplets(one, one) == one
    assert merge_triplets(merge_triplets(one, other), third) == merge_triplets(
        one, merge_triplets(other, third)
    )


def test_merged_clients_know_the_more() -> None:
    assert merge_clients(ClientRecord(3, 10), ClientRecord(1, 20)) == ClientRecord(3, 20)


def test_merged_aliases_lead_to_all_identities() -> None:
    key = records.alias_key(records.plain, "192.0.2.7")
    one = records.alias_entry(None, "host:example.net", 10)
    other = records.alias_entry(one, "spf:example.org", 20)
    assert records.read_alias(records.merge(key, one, other)) == [
        "host:example.net",
        "spf:example.org",
    ]
    assert records.merge(key, one, other).expires == 20
    assert records.read_alias(None) == []
