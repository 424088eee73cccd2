"""Limits on login attempts: who waits, for how long, and who never does."""

from __future__ import annotations

import ipaddress
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.attempt_delays import DelayRule, Seen, forget, reserve, wait_for
from accounts.attempt_settings import MAX_HOLD, AttemptSettings
from accounts.attempts import (
    IN_FLIGHT,
    SAME,
    AttemptDecision,
    AttemptKind,
    Attempts,
    ClientAddress,
)

HOME = ipaddress.ip_address("192.0.2.10")
AWAY = ipaddress.ip_address("198.51.100.7")
ANNA = "anna@example.org"
RULE = DelayRule(5, 1.0, 300.0)


def attempts(**changes: object) -> Attempts:
    return Attempts(AttemptSettings.model_validate(changes), b"key of the test")


def attempt(
    limits: Attempts,
    password: str,
    now: float,
    *,
    account: str = ANNA,
    client: ClientAddress | None = AWAY,
    right: bool | None = False,
) -> AttemptDecision:
    """Make an attempt and end it at once, when it is let in."""
    decision = limits.decide(account, client, password.encode(), now)
    if decision.kind is AttemptKind.CHECK:
        limits.end(decision, right, now + decision.seconds)
    return decision


def guess(
    limits: Attempts, many: int, now: float, *, account: str = ANNA, client: ClientAddress = AWAY
) -> float:
    """Guess so many different passwords as fast as it is allowed; return the time of the end."""
    for number in range(many):
        password = f"guess {number} {now}"
        decision = attempt(limits, password, now, account=account, client=client)
        while decision.kind is AttemptKind.LATER:
            now += decision.seconds
            decision = attempt(limits, password, now, account=account, client=client)
        now += decision.seconds
    return now


# -- the rule by itself


def test_waits_double_up_to_the_bound() -> None:
    assert [RULE.wait(wrong) for wrong in (0, 4, 5, 6, 7, 13, 14, 10_000)] == [
        0.0,
        0.0,
        1.0,
        2.0,
        4.0,
        256.0,
        300.0,
        300.0,
    ]


@given(st.integers(0, 10**9), st.floats(0, 1e9), st.floats(0, 1e9), st.floats(-1e9, 1e9))
def test_nobody_waits_longer_than_the_bound(
    wrong: int, start: float, passed: float, step: float
) -> None:
    seen = reserve(Seen(wrong, start), start, RULE, 1)
    assert 0 <= wait_for(seen, start + passed, RULE) <= RULE.longest
    assert 0 <= wait_for(seen, start + step, RULE) <= RULE.longest + MAX_HOLD


def test_a_clock_that_is_set_back_ends_all_waits() -> None:
    seen = reserve(Seen(20, 1e6), 1e6, RULE, 1)
    assert wait_for(seen, 1e6, RULE) == 300.0
    assert wait_for(seen, 1000.0, RULE) == 0.0
    assert forget(Seen(20, 1e6), 1000.0, 3600.0) == Seen()


# -- accounts


def test_some_wrong_passwords_are_free_then_the_waits_grow() -> None:
    limits = attempts()
    waits = []
    for number in range(9):
        decision = attempt(limits, f"wrong {number}", 100.0)
        waits.append((decision.kind, round(decision.seconds, 3)))
    assert waits[:5] == [(AttemptKind.CHECK, 0.0)] * 5
    assert waits[5:] == [
        (AttemptKind.CHECK, 1.0),  # held for the rest of its second
        (AttemptKind.CHECK, 3.0),
        (AttemptKind.LATER, 7.0),  # longer than an attempt is held: a temporary error
        (AttemptKind.LATER, 7.0),  # and refused attempts make it no longer
    ]


def test_nobody_is_locked_out_for_good() -> None:
    """After any attack from elsewhere, everybody is let in within the longest wait."""
    limits = attempts()
    end = guess(limits, 60, 0.0)
    decision = limits.decide(ANNA, HOME, b"right", end)
    assert decision.kind is AttemptKind.LATER
    assert decision.seconds <= 300.0
    assert limits.decide(ANNA, HOME, b"right", end + 300.0).kind is AttemptKind.CHECK


def test_guessing_is_slow() -> None:
    day = 86400.0
    limits = attempts(free_network=1000)
    now, tried = 0.0, 0
    while now < day:
        decision = attempt(limits, f"guess {tried}", now)
        tried += decision.kind is AttemptKind.CHECK
        now += max(decision.seconds, 0.01)
    assert tried < 320


def test_an_hour_without_a_wrong_password_and_all_is_forgotten() -> None:
    limits = attempts()
    end = guess(limits, 8, 0.0)
    assert attempt(limits, "later", end + 3601.0).seconds == 0.0
    assert [attempt(limits, f"more {n}", end + 3602.0).seconds for n in range(4)] == [0.0] * 4


def test_the_same_wrong_password_counts_once() -> None:
    """A phone that sends the old password all day makes nobody wait."""
    limits = attempts()
    for minute in range(600):
        decision = attempt(limits, "old password", 60.0 * minute)
        assert (decision.kind, decision.seconds) == (AttemptKind.CHECK, 0.0)
    assert attempt(limits, "new", 36000.0, right=True).seconds == 0.0


def test_a_wrong_password_that_was_counted_makes_nobody_wait() -> None:
    limits = attempts()
    attempt(limits, "old password", 0.0)
    end = guess(limits, 7, 0.0)
    for minute in range(10):
        now = end + 300 + 60 * minute
        assert attempt(limits, "old password", now).seconds == 0.0
        assert attempt(limits, "right", now, right=None).seconds == 0.0
    # where a password that was not wrong before reserves its time
    assert attempt(limits, "new", now + 300).seconds == 0.0
    assert attempt(limits, "newer", now + 300).kind is AttemptKind.LATER


def test_the_same_wrong_password_is_not_checked_again_at_once() -> None:
    limits = attempts()
    attempt(limits, "old", 0.0)
    assert attempt(limits, "old", 9.9).kind is AttemptKind.REPEATED
    assert attempt(limits, "old", 10.1).kind is AttemptKind.CHECK
    assert attempt(limits, "old", 10.2).kind is AttemptKind.REPEATED
    # other wrong passwords do not prolong it
    attempt(limits, "other", 20.0)
    assert attempt(limits, "old", 20.2).kind is AttemptKind.CHECK


def test_a_changed_password_is_checked_at_once() -> None:
    limits = attempts()
    attempt(limits, "old", 0.0)
    guess(limits, 9, 0.0)
    limits.forget_account(ANNA)
    assert (attempt(limits, "old", 1.0).kind, attempt(limits, "new", 1.0).seconds) == (
        AttemptKind.CHECK,
        0.0,
    )


def test_attempts_at_the_same_time_wait_for_each_other() -> None:
    """A hundred guesses in one moment are no more than the free ones and those that are held."""
    limits = attempts()
    kinds = [
        limits.decide(ANNA, ipaddress.ip_address(0xC6336400 + 256 * n), f"{n}".encode(), 0.0).kind
        for n in range(100)
    ]
    assert kinds.count(AttemptKind.CHECK) == 7


def test_connections_of_one_program_do_not_wait_for_each_other() -> None:
    limits = attempts()
    decisions = [limits.decide(ANNA, AWAY, b"right", 0.0) for _ in range(SAME)]
    assert all((d.kind, d.seconds) == (AttemptKind.CHECK, 0.0) for d in decisions)
    assert limits.decide(ANNA, AWAY, b"right", 0.0).kind is AttemptKind.LATER  # a flood of them
    for decision in decisions:
        limits.end(decision, right=True, now=0.1)
    assert limits.decide(ANNA, AWAY, b"right", 0.2).kind is AttemptKind.CHECK


def test_an_attempt_without_a_result_counts_nothing() -> None:
    limits = attempts()
    for number in range(50):
        assert attempt(limits, f"{number}", float(number), right=None).seconds == 0.0


# -- networks that are known


def test_a_known_network_never_waits_for_guesses_from_elsewhere() -> None:
    limits = attempts()
    attempt(limits, "right", 0.0, client=HOME, right=True)
    end = guess(limits, 40, 1.0, client=AWAY)
    neighbour = ipaddress.ip_address("192.0.2.200")
    for client in (HOME, neighbour):
        decision = attempt(limits, "right", end, client=client, right=True)
        assert (decision.kind, decision.seconds) == (AttemptKind.CHECK, 0.0)
    assert (
        attempt(limits, "right", end, client=ipaddress.ip_address("192.0.3.1")).kind
        is AttemptKind.LATER
    )


def test_guesses_from_a_known_network_wait_too() -> None:
    limits = attempts()
    attempt(limits, "right", 0.0, client=HOME, right=True)
    kinds = [attempt(limits, f"{n}", 1.0, client=HOME).kind for n in range(20)]
    assert kinds.count(AttemptKind.CHECK) == 7


def test_logins_do_not_give_a_guesser_in_the_same_network_new_tries_each_time() -> None:
    limits = attempts()
    tried = 0
    for second in range(3600):
        now = float(second)
        attempt(limits, "right", now, client=HOME, right=True)
        tried += attempt(limits, f"guess {second}", now, client=HOME).kind is AttemptKind.CHECK
    assert tried < 12 * 15


def test_typing_errors_before_a_login_are_forgiven() -> None:
    limits = attempts()
    for number in range(5):
        attempt(limits, f"typo {number}", 0.0, client=HOME)
    attempt(limits, "right", 0.0, client=HOME, right=True)
    for number in range(4):
        assert attempt(limits, f"typo {number}!", 400.0, client=HOME).seconds == 0.0


def test_a_network_is_known_for_its_account_only_and_for_a_time() -> None:
    limits = attempts(known="1d")
    attempt(limits, "right", 0.0, client=HOME, right=True)
    for now, account in ((10.0, "bert@example.org"), (86400.0 + 10.0, ANNA)):
        end = guess(limits, 20, now, account=account, client=AWAY)
        assert attempt(limits, "right", end, account=account, client=HOME).kind is AttemptKind.LATER


def test_people_without_an_address_have_the_limit_of_the_account() -> None:
    limits = attempts()
    kinds = [attempt(limits, f"{n}", 0.0, client=None).kind for n in range(20)]
    assert kinds.count(AttemptKind.CHECK) == 7
    # and guesses against many accounts do not stop the others
    for number in range(100):
        attempt(limits, "x", 0.0, client=None, account=f"a{number}@example.org")
    assert attempt(limits, "x", 0.0, client=None, account="new@example.org").seconds == 0.0


# -- networks


def test_one_password_against_many_accounts_is_slowed_down() -> None:
    limits = attempts()
    kinds = [
        attempt(limits, "Summer2026!", 0.0, account=f"user{n}@example.org").kind for n in range(60)
    ]
    assert kinds.count(AttemptKind.CHECK) == 22


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("198.51.100.7", "198.51.100.250", True),
        ("198.51.100.7", "198.51.101.7", False),
        ("198.51.100.7", "::ffff:198.51.100.8", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_what_a_network_is(first: str, second: str, same: bool) -> None:
    limits = attempts()
    for number in range(60):
        attempt(
            limits, "x", 0.0, account=f"u{number}@example.org", client=ipaddress.ip_address(first)
        )
    kind = attempt(limits, "x", 0.0, client=ipaddress.ip_address(second)).kind
    assert (kind is AttemptKind.LATER) == same


def test_the_size_of_a_network_is_a_setting() -> None:
    limits = attempts(ipv4_network=32, ipv6_network=48)
    for number in range(60):
        account = f"u{number}@example.org"
        for client in (AWAY, ipaddress.ip_address("2001:db8:1::1")):
            attempt(limits, "x", 0.0, account=account, client=client)
    assert attempt(limits, "x", 0.0, client=AWAY + 1).kind is AttemptKind.CHECK
    assert (
        attempt(limits, "y", 0.0, client=ipaddress.ip_address("2001:db8:1:ff::1")).kind
        is AttemptKind.LATER
    )


def test_own_networks_have_no_limit_for_all_accounts_together() -> None:
    limits = attempts(unlimited=["198.51.100.7/32"])
    kinds = {attempt(limits, "x", 0.0, account=f"u{n}@example.org").kind for n in range(200)}
    assert kinds == {AttemptKind.CHECK}
    assert [attempt(limits, f"{n}", 0.0).kind for n in range(20)].count(AttemptKind.CHECK) == 7


def test_one_network_cannot_take_all_of_the_queue() -> None:
    limits = attempts()
    decisions = [
        limits.decide(f"u{n}@example.org", AWAY, b"right", 0.0) for n in range(IN_FLIGHT + 10)
    ]
    kinds = [decision.kind for decision in decisions]
    assert kinds == [AttemptKind.CHECK] * IN_FLIGHT + [AttemptKind.LATER] * 10
    for decision in decisions[:IN_FLIGHT]:
        assert decision.seconds == 0.0  # an office in the morning
        limits.end(decision, right=True, now=1.0)
    assert limits.decide("new@example.org", AWAY, b"right", 1.0).kind is AttemptKind.CHECK


# -- memory


def test_a_flood_of_names_and_networks_takes_bounded_memory() -> None:
    limits = attempts(entries=200, free_network=10_000)
    tracemalloc.start()
    for number in range(6_000):
        client = ipaddress.ip_address(0x0A000000 + 256 * (number % 2_000))
        attempt(
            limits,
            f"{number}",
            number / 1000,
            account=f"u{number % 1_500}@x.example",
            client=client,
        )
        if number == 2_500:
            before, _ = tracemalloc.get_traced_memory()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert limits.size <= 800
    assert after < before + 150_000
    assert after < 800_000
    assert limits.evicted > 2_000


def test_a_flood_of_names_does_not_free_an_account_that_has_to_wait() -> None:
    limits = attempts(entries=100, free_network=10_000)
    end = guess(limits, 12, 0.0)
    assert limits.decide(ANNA, HOME, b"next", end).kind is AttemptKind.LATER
    for number in range(1000):
        client = ipaddress.ip_address(0x0A000000 + 256 * number)
        attempt(limits, "x", end, account=f"u{number}@example.org", client=client)
    assert limits.decide(ANNA, HOME, b"next", end).kind is AttemptKind.LATER


def test_known_networks_are_bounded_for_each_account_and_in_all() -> None:
    limits = attempts(entries=100)
    attempt(limits, "right", 0.0, client=HOME, right=True, account="bert@example.org")
    for number in range(300):
        client = ipaddress.ip_address(0x0A000000 + 256 * number)
        attempt(limits, "right", 1.0, client=client, right=True)
    # one account with many networks does not push out those of others
    end = guess(limits, 12, 2.0, account="bert@example.org", client=AWAY)
    assert (
        attempt(limits, "x", end, account="bert@example.org", client=HOME).kind is AttemptKind.CHECK
    )
    for number in range(300):
        attempt(limits, "right", end, client=HOME, right=True, account=f"u{number}@example.org")
    assert limits.size <= 5 * 100


def test_nothing_shows_a_password() -> None:
    limits = attempts()
    decision = limits.decide(ANNA, AWAY, b"very secret", 0.0)
    assert "secret" not in repr(decision)
    limits.end(decision, right=False, now=0.0)
    assert b"very secret" not in decision.levels[0].entry.marks


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([ANNA, "bert@example.org"]),
        st.sampled_from([HOME, AWAY, None]),
        st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
        st.floats(0, 400),
        st.sampled_from([True, False, False, False, None]),
    ),
    max_size=80,
)


@given(EVENTS)
@settings(max_examples=200, deadline=None)
def test_whatever_happened_everybody_is_let_in_within_the_bound(
    events: list[tuple[str, ClientAddress | None, str, float, bool | None]],
) -> None:
    limits = attempts()
    now = 0.0
    for account, client, password, passed, right in events:
        now += passed
        decision = attempt(limits, password, now, account=account, client=client, right=right)
        assert 0 <= decision.seconds <= 900.0 + MAX_HOLD
        if decision.kind is AttemptKind.CHECK:
            assert decision.seconds <= 5.0
    for account in (ANNA, "bert@example.org"):
        later = attempt(limits, "right one", now + 900.0 + MAX_HOLD, account=account, right=True)
        assert (later.kind, later.seconds) == (AttemptKind.CHECK, 0.0)
    for entry in limits.decide(ANNA, AWAY, b"right one", now + 1000.0).levels:
        assert sum(entry.entry.under_way.values()) == 1
