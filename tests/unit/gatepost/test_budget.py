"""The time for DNS: what is set aside cannot be used up by anything else."""

from __future__ import annotations

import pytest

from gatepost.dns.budget import Budget
from msgauth.ask import Question, Share
from tests.unit.clock import Clock

SHARE = Share("policy", 0.4)
PLAIN = Question("slow.example", "TXT")
SHARED = Question("_dmarc.example", "TXT", share=SHARE)


def ask(budget: Budget, clock: Clock, question: Question, takes: float) -> float:
    """The seconds that a question is given; it takes as many of them as it needs."""
    with budget.spend(question) as deadline:
        given = deadline - clock.now
        clock.now += max(min(takes, given), 0)
    return given


def test_a_question_is_the_same_with_and_without_a_share() -> None:
    assert Question("_dmarc.example", "TXT") == SHARED
    assert len({Question("_dmarc.example", "TXT"), SHARED}) == 1


def test_slow_questions_leave_the_share_alone() -> None:
    clock = Clock()
    budget = Budget(20, 0.4, clock)
    given = [ask(budget, clock, PLAIN, 5) for _ in range(8)]
    assert given == pytest.approx([12, 7, 2, 0, 0, 0, 0, 0])
    assert ask(budget, clock, SHARED, 5) == pytest.approx(4)


def test_slow_questions_of_a_share_take_at_most_half_of_what_is_left_and_nothing_else() -> None:
    clock = Clock()
    budget = Budget(20, 0.4, clock)
    assert [ask(budget, clock, SHARED, 60) for _ in range(4)] == pytest.approx([4, 2, 1, 0.5])
    assert ask(budget, clock, PLAIN, 60) == pytest.approx(12)
    assert ask(budget, clock, PLAIN, 60) == pytest.approx(0)


def test_shares_do_not_use_one_another_and_all_ends_with_the_whole() -> None:
    clock = Clock()
    budget = Budget(10, 0.5, clock)
    one, two = (Question("x", "TXT", share=Share(name, 0.25)) for name in ("one", "two"))
    for _ in range(10):
        ask(budget, clock, one, 60)
    assert ask(budget, clock, two, 0) == pytest.approx(1.25)
    clock.now += 9  # not in a question, but time all the same
    assert ask(budget, clock, two, 60) < 0


def test_without_shares_all_time_is_for_all() -> None:
    clock = Clock()
    budget = Budget(5, monotonic=clock)
    assert [ask(budget, clock, PLAIN, 2) for _ in range(4)] == pytest.approx([5, 3, 1, 0])
