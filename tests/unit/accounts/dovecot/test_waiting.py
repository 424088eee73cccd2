"""Kicks that wait: each user that was named is kicked, however many there are."""

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from accounts.dovecot.waiting import AGAIN, Waiting

users = st.builds("{}@{}.example".format, st.sampled_from("abcdefgh"), st.sampled_from("xyz"))
masks = users | st.sampled_from(["*@x.example", "*"])
steps = st.lists(st.tuples(masks, st.booleans()) | st.integers(1, 4), max_size=40)


@given(steps, st.integers(1, 6))
def test_nobody_is_forgotten(steps: list[tuple[str, bool] | int], limit: int) -> None:
    waiting = Waiting(limit)
    owed: list[tuple[str, float]] = []
    """Masks, and the time before which a kick does not count."""
    now = 0.0

    def take(limit: int) -> None:
        nonlocal owed
        taken = waiting.take(limit, now)
        assert len(taken) <= limit
        owed = [
            (mask, after)
            for mask, after in owed
            if after > now or not any(fnmatchcase(mask, one) for one in taken)
        ]

    for step in steps:
        now += 1
        if isinstance(step, int):
            take(step)
            continue
        mask, repeat = step
        waiting.add(mask, now, repeat=repeat)
        owed.append((mask, now))
        if repeat:
            owed.append((mask, now + AGAIN))
        assert len(waiting) <= 2 * limit
    now += AGAIN
    while waiting.due_in(now) is not None:
        assert waiting.due_in(now) == 0
        take(3)
    assert owed == []
    assert len(waiting) == 0


def test_the_second_kick_comes_after_a_while() -> None:
    waiting = Waiting()
    waiting.add("a@x.example", 100, repeat=True)
    waiting.add("b@x.example", 101, repeat=False)
    assert waiting.take(9, 101) == ["a@x.example", "b@x.example"]
    assert waiting.take(9, 109) == []
    assert waiting.due_in(109) == 1
    waiting.add("a@x.example", 109, repeat=True)
    assert waiting.take(9, 110) == ["a@x.example"]
    assert waiting.due_in(110) == 9
    assert waiting.take(9, 119) == ["a@x.example"]
    assert waiting.due_in(119) is None


def test_too_many_become_a_domain_and_then_everybody() -> None:
    waiting = Waiting(4)
    for number in range(4):
        waiting.add(f"{number}@x.example", 0, repeat=False)
    waiting.add("a@y.example", 0, repeat=False)
    assert waiting.take(9, 0) == ["*@x.example", "a@y.example"]
    for number in range(5):
        waiting.add(f"a@{number}.example", 0, repeat=False)
    assert waiting.take(9, 0) == ["*"]


def test_what_failed_waits_again() -> None:
    waiting = Waiting()
    waiting.add("a@x.example", 0, repeat=False)
    waiting.put_back(waiting.take(9, 0), 0)
    assert waiting.take(9, 0) == ["a@x.example"]
