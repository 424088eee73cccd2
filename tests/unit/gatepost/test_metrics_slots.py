import math

import pytest

from gatepost.metrics.slots import (
    MAX_KEY,
    MAX_SERIES,
    OVERFLOW,
    SLOT,
    Key,
    PrivateSlot,
    SharedSlot,
    Slot,
)


@pytest.fixture
def memory() -> memoryview:
    return memoryview(bytearray(SLOT))


def told(slot: Slot) -> dict[Key, float]:
    return dict(slot.readings())


@pytest.fixture(params=["private", "shared"])
def slot(request: pytest.FixtureRequest, memory: memoryview) -> Slot:
    return PrivateSlot() if request.param == "private" else SharedSlot(memory)


def test_a_key_has_one_place_and_begins_with_0(slot: Slot) -> None:
    a, b = slot.place(("a", "x")), slot.place(("a", "y\x00é"))
    assert a != b
    assert slot.place(("a", "x")) == a
    slot.values[b] += 2.5
    assert told(slot).items() >= {("a", "x"): 0.0, ("a", "y\x00é"): 2.5}.items()


def test_who_reads_sees_what_the_other_side_wrote_since(memory: memoryview) -> None:
    worker, parent = SharedSlot(memory), SharedSlot(memory)
    worker.values[worker.place(("a",))] = 1
    assert told(parent)[("a",)] == 1
    worker.values[worker.place(("a",))] += 1
    worker.values[worker.place(("b",))] = math.nan
    assert told(parent)[("a",)] == 2
    assert math.isnan(told(parent)[("b",)])


def test_a_successor_finds_the_places_of_the_one_before(memory: memoryview) -> None:
    first = SharedSlot(memory)
    for name in ("a", "b"):
        first.values[first.place((name,))] = 7
    second = SharedSlot(memory)
    second.values[second.place(("b",))] += 1
    second.values[second.place(("c",))] += 1
    assert told(second) == {("a",): 7, ("b",): 8, ("c",): 1, (OVERFLOW,): 0}


def test_a_key_that_was_not_finished_is_none(memory: memoryview) -> None:
    first = SharedSlot(memory)
    first.place(("a",))
    # killed between the key and its number
    memory[-MAX_KEY * (MAX_SERIES - 1) :][:4] = b'["b"'
    second = SharedSlot(memory)
    second.values[second.place(("c",))] = 1
    assert told(SharedSlot(memory)) == {("a",): 0, ("c",): 1, (OVERFLOW,): 0}


def test_what_finds_no_room_is_counted_together(memory: memoryview) -> None:
    slot = SharedSlot(memory)
    slot.values[slot.place(("x" * MAX_KEY,))] += 1
    for number in range(MAX_SERIES + 3):
        slot.values[slot.place((str(number),))] += 1
    read = told(SharedSlot(memory))
    assert len(read) == MAX_SERIES + 1
    assert read[(str(MAX_SERIES - 1),)] == 1
    assert read[(OVERFLOW,)] == 4
