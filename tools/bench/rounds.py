"""Measurement of several servers in turns, so that changes of the machine affect all of them.

In each round, every server gets its load once, one after the other. A figure is the median of the
rounds; a ratio between two servers is the median of the ratios within a round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tools.bench.dns import DnsServer
from tools.bench.load import Load


@dataclass(frozen=True)
class Sample:
    """One measurement of one server; times in milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Milliseconds of CPU time of all its processes, for one message or request."""
    questions: float
    """DNS questions for one message or request."""
    replies: dict[str, int]


@dataclass
class Row:
    """A server in a table."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    memory: float = 0
    """MiB after the load."""
    idle_memory: float = 0
    failure: str = ""

    def median(self, figure: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.all(figure))

    def all(self, figure: str) -> list[float]:
        """Return the figure in each round."""
        return [float(getattr(sample, figure)) for sample in self.samples]


class Measured(Protocol):
    """A server, or several that work together."""

    name: str

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""

    def memory(self) -> float:
        """Return the MiB in use (PSS)."""


@dataclass(frozen=True)
class Case:
    """A server and its load in a round; the round before the first is -1."""

    server: Measured
    load: Callable[[int], Load]


def ratio(one: Row, other: Row, figure: str = "rate") -> float:
    """Return the figure of `one` divided by that of `other`; 0 if there is nothing to compare."""
    pairs = zip(one.all(figure), other.all(figure), strict=False)
    return statistics.median([a / b for a, b in pairs if b] or [0.0])


def worst(one: Row, other: Row, figure: str = "rate", *, at_most: bool = False) -> float:
    """As `ratio`, but that of the round in which we were worst."""
    pairs = zip(one.all(figure), other.all(figure), strict=False)
    return (max if at_most else min)([a / b for a, b in pairs if b] or [0.0])


def sample(case: Case, number: int, dns: DnsServer) -> Sample:
    """Run one load."""
    cpu, asked = case.server.cpu(), dns.asked
    load = case.load(number)
    return Sample(
        rate=load.rate,
        p50=load.p50 * 1000,
        p99=load.p99 * 1000,
        cpu=(case.server.cpu() - cpu) / load.done * 1000,
        questions=(dns.asked - asked) / load.done,
        replies=load.replies,
    )


def measure(
    cases: Sequence[Case], rounds: int, dns: DnsServer, progress: Callable[[float, str], None]
) -> list[Row]:
    """Measure running servers in turns."""
    rows = [Row(case.server.name) for case in cases]
    for number in range(rounds):
        for n, (case, row) in enumerate(zip(cases, rows, strict=True)):
            progress((number + n / len(cases)) / rounds, case.server.name)
            row.samples.append(sample(case, number, dns))
    for case, row in zip(cases, rows, strict=True):
        row.memory = case.server.memory()
    return rows
