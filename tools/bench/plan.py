"""Extent of the measurements, and the objects that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.testbed.process import ProcessDied
from tests.testbed.waiting import WaitError
from tools.bench.dns import DnsServer
from tools.bench.load import LoadError
from tools.bench.mail import Keys
from tools.bench.report import Report
from tools.bench.rounds import Case, Row, measure
from tools.bench.server import Server
from tools.steps import Steps

S = TypeVar("S", bound=Server)


@dataclass(frozen=True)
class Extent:
    """Durations and numbers."""

    seconds: float
    """Seconds of one load of one server."""
    rounds: int
    sizes: tuple[int, ...]
    """Sizes of the messages in octets."""
    many_triplets: int
    soak: int
    """Messages of the memory test."""

    def seconds_of(self, number: int) -> float:
        """Return the seconds of a load in a round; a round below 0 only warms up the server."""
        return self.seconds if number >= 0 else 0.5


QUICK = Extent(
    seconds=2.5, rounds=3, sizes=(2048, 20480, 204800), many_triplets=1_000_000, soak=20_000
)
FULL = Extent(
    seconds=8, rounds=5, sizes=(2048, 20480, 204800), many_triplets=1_000_000, soak=100_000
)


@dataclass(frozen=True)
class Bench:
    """Argument of every piece."""

    extent: Extent
    folder: Path
    keys: Keys
    dns: DnsServer
    report: Report
    steps: Steps

    @contextmanager
    def running(self, servers: Iterable[S], check: Callable[[S], None]) -> Iterator[list[S]]:
        """Start the servers; report and leave out those that fail to start or to do the work."""
        with ExitStack() as stack:
            good = []
            for server in servers:
                try:
                    stack.enter_context(server)
                    check(server)
                except (ProcessDied, WaitError, LoadError, OSError) as error:
                    self.report.fail(f"{server.name}: {error}")
                else:
                    good.append(server)
            yield good

    def measure(self, label: str, cases: list[Case], rounds: int = 0) -> list[Row]:
        """Measure the cases in turns; report and leave out a server that fails under load.

        `rounds`: other than those of the extent.
        """
        with self.steps.step(label) as step:
            while cases:
                try:
                    for case in cases:
                        case.load(-1)  # caches and pools fill, code is compiled
                    return measure(cases, rounds or self.extent.rounds, self.dns, step.progress)
                except LoadError as error:
                    broken = [case for case in cases if case.server.name in str(error)]
                    self.report.fail(f"{label}: {error}")
                    if not broken:
                        return []
                    cases = [case for case in cases if case not in broken]
        return []


def idle_memory(servers: Iterable[Server]) -> dict[str, float]:
    """Return the MiB of each server before its first load."""
    return {server.name: server.memory() for server in servers}


def size_text(size: int) -> str:
    """Return the size in the form ``20 KB``."""
    return f"{size // 1024} KB"
