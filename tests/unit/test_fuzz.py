"""A short run of `make fuzz`, and that the harness finds what there is to find."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.__main__ import TARGETS
from tests.fuzz.target import Finding, Target, run

SEED = 20_261_126


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    assert run(TARGETS[name], SEED, range(300)) == 300


def test_a_finding_says_how_to_see_it_again() -> None:
    def check(made: int) -> None:
        assert made != Random("7:broken:3").getrandbits(8)

    broken = Target("broken", 10, lambda random: random.getrandbits(8), check)
    with pytest.raises(Finding, match="--seed 7 --first 3 --count 1"):
        run(broken, 7, range(10))


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_seed_gives_the_same_input(name: str) -> None:
    first, again = (TARGETS[name].make(Random("1")) for _ in range(2))
    assert repr(first) == repr(again)
