"""Memory for the metrics of a daemon: one slot for each of its processes.

A daemon with one process counts in its own array. One that forks workers calls `share()` first:
from then on each process counts in its slot of an anonymous shared memory, which does not depend on
a full or read-only disk. The parent reads all slots.

A worker's slot belongs to its number, not to its process. The replacement of a dead worker
continues its counts, since a counter must not decrease.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import threading
from array import array
from collections.abc import Container, Iterator, MutableSequence, Sequence
from typing import Protocol, TypeAlias

Key: TypeAlias = tuple[str, ...]
"""The name of a metric, its label values, and for a histogram its part."""

MAX_SERIES = 2000
"""Cells of a worker's slot: ten times as many as the milter needs. A slot has half a megabyte, but
only used parts take memory."""
MAX_KEY = 248
"""Maximum octets of a key in shared memory."""

OVERFLOW = "gatepost_metrics_overflow_total"
"""The metric that counts events without a cell."""

_CELL = 8
_HEAD = _CELL
_VALUES = _HEAD + _CELL * (MAX_SERIES + 1)  # the last cell is for all series without one
SLOT = -(-(_VALUES + MAX_KEY * MAX_SERIES) // mmap.PAGESIZE) * mmap.PAGESIZE


class Slot(Protocol):
    """The values of one process."""

    values: MutableSequence[float]

    def place(self, key: Key) -> int:
        """Return the index of the value of `key`, which starts at 0; never raises."""

    def readings(self) -> Iterator[tuple[Key, float]]:
        """Yield every key with its current value."""


class PrivateSlot:
    """A slot of this process only, without a limit."""

    def __init__(self) -> None:
        self.values: MutableSequence[float] = array("d")
        self._places: dict[Key, int] = {}

    def place(self, key: Key) -> int:
        """See `Slot`."""
        at = self._places.get(key)
        if at is None:
            at = len(self.values)
            self.values.append(0.0)
            self._places[key] = at
        return at

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `Slot`."""
        for key, at in list(self._places.items()):
            yield key, self.values[at]


class SharedSlot:
    """A slot in memory shared by parent and worker: one of them writes, both read.

    The slot consists of the number of its keys, the values, and the keys. A key is written before
    the number is increased, so that a concurrent reader, or a successor after a crash, only sees
    complete keys.
    """

    def __init__(self, memory: memoryview) -> None:
        self._used = memory[:_HEAD].cast("Q")
        self.values: MutableSequence[float] = memory[_HEAD:_VALUES].cast("d")  # type: ignore[assignment]
        self._keys = memory[_VALUES:]
        self._read: list[Key] = []
        self._places: dict[Key, int] = {}

    def place(self, key: Key) -> int:
        """See `Slot`. All keys without room share one number."""
        self._catch_up()
        at = self._places.get(key)
        if at is not None:
            return at
        at = len(self._read)
        written = json.dumps(key).encode()
        if at == MAX_SERIES or len(written) > MAX_KEY:
            return MAX_SERIES
        start = at * MAX_KEY
        self._keys[start : start + MAX_KEY] = written.ljust(MAX_KEY)
        self._used[0] = at + 1
        self._catch_up()
        return at

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `Slot`."""
        self._catch_up()
        for at, key in enumerate(self._read):
            yield key, self.values[at]
        yield (OVERFLOW,), self.values[MAX_SERIES]

    def _catch_up(self) -> None:
        for at in range(len(self._read), self._used[0]):
            start = at * MAX_KEY
            key = tuple(json.loads(bytes(self._keys[start : start + MAX_KEY])))
            self._read.append(key)
            self._places[key] = at


class _Process:
    """The slot of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.slot: Slot = PrivateSlot()
        self.values = self.slot.values
        self.series: list[Series] = []
        self.all: Sequence[Slot] = (self.slot,)
        self.is_shared = False
        self.is_worker = False

    def renew_lock(self) -> None:
        self.lock = threading.Lock()  # a thread that was not forked may have held it

    def move(self, slot: Slot) -> None:
        self.slot = slot
        self.values = slot.values
        for series in self.series:
            series.move(slot)


_process = _Process()
os.register_at_fork(after_in_child=_process.renew_lock)


class Series:
    """One number: the value of a key in the slot of this process. Thread-safe.

    A `transient` one is a current value, and does not exist until it is set.
    """

    __slots__ = ("_at", "_key", "_transient")

    def __init__(self, key: Key, *, transient: bool = False) -> None:
        self._key = key
        self._transient = transient
        with _process.lock:
            self.move(_process.slot)
            _process.series.append(self)

    def move(self, slot: Slot) -> None:
        """Count in `slot` from now on. The caller must hold the lock."""
        self._at = slot.place(self._key)
        if self._transient:
            slot.values[self._at] = math.nan

    def add(self, amount: float) -> None:
        """Add to the number; an unset one counts as 0."""
        here = _process
        with here.lock:
            value = here.values[self._at]
            here.values[self._at] = amount if value != value else value + amount  # NaN means unset

    def set(self, value: float) -> None:
        """Replace the number."""
        with _process.lock:
            _process.values[self._at] = value


def share(workers: int) -> None:
    """Count in shared memory from now on; call it once, before the first fork.

    `workers` is the number of processes besides this one, whose values are moved, too.
    """
    with _process.lock:
        if _process.is_shared:
            raise RuntimeError("this process already shares its metrics")
        memory = memoryview(mmap.mmap(-1, SLOT * (workers + 1)))
        slots = [SharedSlot(memory[SLOT * at : SLOT * (at + 1)]) for at in range(workers + 1)]
        before = list(_process.slot.readings())
        _process.move(slots[0])
        for key, value in before:
            slots[0].values[slots[0].place(key)] = value
        _process.all = slots
        _process.is_shared = True


def is_shared() -> bool:
    """Return whether other processes count with this one."""
    return _process.is_shared


def is_worker() -> bool:
    """Return whether another process reads the metrics of this one."""
    return _process.is_worker


def become_worker(number: int) -> None:
    """Count as worker `number`, from 0; called in a newly forked process."""
    with _process.lock:
        _process.is_worker = True
        _process.move(_process.all[number + 1])


def worker_ended(number: int, transient: Container[str]) -> None:
    """Remove the current values of a dead worker: the metrics with these names."""
    slot = _process.all[number + 1]
    for key, _ in slot.readings():
        if key[0] in transient:
            slot.values[slot.place(key)] = math.nan


def readings() -> Iterator[tuple[Key, float]]:
    """Yield every number of every process; a key appears once for each process that has it."""
    for slot in _process.all:
        for key, value in slot.readings():
            if not math.isnan(value):
                yield key, value
