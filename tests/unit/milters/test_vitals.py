"""Vital signs of workers: they turn, and they take connections."""

from __future__ import annotations

from milters.vitals import BLOCKED_AFTER, STUCK_AFTER, Vitals
from tests.unit.clock import Clock


def test_all_is_well_before_workers_start_and_while_they_turn() -> None:
    clock = Clock()
    vitals = Vitals(2, clock)
    clock.now += 100
    assert (vitals.not_taking(), vitals.stuck(), vitals.all_stuck()) == (None, None, None)
    for worker in range(2):
        vitals.started(worker)
    clock.now += STUCK_AFTER
    assert (vitals.not_taking(), vitals.stuck(), vitals.all_stuck()) == (None, None, None)


def test_a_worker_that_hangs_is_named_and_all_that_hang_are_worse() -> None:
    clock = Clock()
    vitals = Vitals(2, clock)
    for worker in range(2):
        vitals.started(worker)
    clock.now += STUCK_AFTER + 2
    vitals.beat(0, takes=True)
    assert vitals.stuck() == "worker 1: no sign of life for 12 s"
    assert vitals.all_stuck() is None
    clock.now += STUCK_AFTER + 2
    assert (
        vitals.all_stuck()
        == "worker 0: no sign of life for 12 s, worker 1: no sign of life for 24 s"
    )


def test_one_worker_that_takes_connections_is_enough() -> None:
    clock = Clock()
    vitals = Vitals(2, clock)
    for worker in range(2):
        vitals.started(worker)
        vitals.beat(worker, takes=False)
    assert vitals.not_taking() is None, "it may be over in a moment"
    clock.now += BLOCKED_AFTER
    vitals.beat(0, takes=False)
    assert vitals.not_taking() == "no worker has been able to accept a connection for 3 s"
    vitals.beat(1, takes=True)
    assert vitals.not_taking() is None
    vitals.beat(1, takes=False)
    clock.now += BLOCKED_AFTER
    assert vitals.not_taking() is not None
    vitals.started(1)
    assert vitals.not_taking() is None, "its successor is new"
