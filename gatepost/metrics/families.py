"""Counters, gauges and histograms, and their export to Prometheus.

Prometheus's own classes use files if a daemon has several processes; these use slots of memory, and
the library exports their values (by a custom collector). Label values are our own words and names
from the configuration, never data from a client, because each combination is kept forever.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import REGISTRY, Collector

from gatepost.metrics import slots
from gatepost.metrics.slots import Key, Series

S = TypeVar("S")

Across: TypeAlias = Literal["min", "max", "sum"]
"""How the values of a gauge in several processes are combined."""

_SUM = "sum"


class Family(Generic[S]):
    """A metric with its labels; `name` is its unique name in Prometheus."""

    kind: str

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        if name in _families:
            raise ValueError(f"a metric {name} exists already")
        if slots.is_worker():
            raise RuntimeError(f"the parent, which exports {name}, would not know it")
        self.name = name
        self.documentation = documentation
        self.label_names = tuple(labels)
        self._children: dict[Key, S] = {}
        if not labels:
            self.labels()
        _families[name] = self

    def labels(self, *values: str) -> S:
        """Return the series for these label values; `ValueError` if their number is wrong.

        Frequent callers keep it.
        """
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self.label_names):
                raise ValueError(f"{self.name} has {len(self.label_names)} labels, not {values}")
            # two threads may create one each; both use the same cell
            child = self._children[values] = self._make(tuple(map(str, values)))
        return child

    def _make(self, values: Key) -> S:
        raise NotImplementedError

    def collect(self, read: Mapping[Key, Sequence[float]]) -> Metric:
        """Return the metric for Prometheus; `read` has the values of each process by the rest of
        the key."""
        raise NotImplementedError


_families: dict[str, Family[Any]] = {}


class Count:
    """A number that only grows."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    def inc(self, amount: float = 1.0) -> None:
        """Add `amount`, which is not negative."""
        if amount < 0:
            raise ValueError("a counter never goes down")
        self._series.add(amount)


class Counter(Family[Count]):
    """A count of events since the start of the daemon; `name` ends with ``_total``."""

    kind = "counter"

    def inc(self, amount: float = 1.0) -> None:
        """Add `amount`, for a counter without labels."""
        self.labels().inc(amount)

    def _make(self, values: Key) -> Count:
        return Count(Series((self.name, *values)))

    def collect(self, read: Mapping[Key, Sequence[float]]) -> Metric:
        """See `Family`."""
        metric = CounterMetricFamily(self.name, self.documentation, labels=self.label_names)
        for labels, values in read.items():
            metric.add_metric(labels, sum(values))
        return metric


class Gauge(Family[Series]):
    """A current value. The value of a process counts while it lives.

    A gauge without labels that no process has set is 0.
    """

    kind = "gauge"

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        across: Across,
    ) -> None:
        super().__init__(name, documentation, labels)
        _transient.add(name)
        self._join = _JOIN[across]

    def set(self, value: float) -> None:
        """Replace the number, for a gauge without labels."""
        self.labels().set(value)

    def add(self, amount: float) -> None:
        """Add to the number, for a gauge without labels; `amount` may be negative."""
        self.labels().add(amount)

    def _make(self, values: Key) -> Series:
        return Series((self.name, *values), transient=True)

    def collect(self, read: Mapping[Key, Sequence[float]]) -> Metric:
        """See `Family`."""
        metric = GaugeMetricFamily(self.name, self.documentation, labels=self.label_names)
        for labels, values in (read or ({} if self.label_names else {(): [0.0]})).items():
            metric.add_metric(labels, self._join(values))
        return metric


_JOIN: dict[Across, Callable[[Iterable[float]], float]] = {"min": min, "max": max, "sum": sum}
_transient: set[str] = set()


def _le(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else repr(bound)


class Observations:
    """The number of values below each bound, and their sum."""

    __slots__ = ("_bounds", "_buckets", "_sum")

    def __init__(self, key: Key, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._buckets = [Series((*key, _le(bound))) for bound in bounds]
        self._sum = Series((*key, _SUM))

    def observe(self, amount: float) -> None:
        """Count one value; a value equal to a bound counts as below it."""
        self._sum.add(amount)
        self._buckets[bisect_left(self._bounds, amount)].add(1.0)


class Histogram(Family[Observations]):
    """The distribution of values over `buckets`: increasing upper bounds, without infinity."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
    ) -> None:
        self._bounds = (*map(float, buckets), math.inf)
        if list(self._bounds) != sorted(set(self._bounds)):
            raise ValueError(f"the buckets of {name} do not increase")
        super().__init__(name, documentation, labels)

    def observe(self, amount: float) -> None:
        """Count one value, for a histogram without labels."""
        self.labels().observe(amount)

    def _make(self, values: Key) -> Observations:
        return Observations((self.name, *values), self._bounds)

    def collect(self, read: Mapping[Key, Sequence[float]]) -> Metric:
        """See `Family`."""
        metric = HistogramMetricFamily(self.name, self.documentation, labels=self.label_names)
        for labels in dict.fromkeys(key[:-1] for key in read):
            buckets, below = [], 0.0
            for bound in map(_le, self._bounds):
                below += sum(read.get((*labels, bound), ()))
                buckets.append((bound, below))
            metric.add_metric(labels, buckets, sum(read.get((*labels, _SUM), ())))
        return metric


class _Collector(Collector):
    def describe(self) -> Iterable[Metric]:
        return ()  # metrics are added later; `Family` prevents duplicates

    def collect(self) -> Iterable[Metric]:
        read: dict[str, dict[Key, list[float]]] = {}
        for key, value in slots.readings():
            read.setdefault(key[0], {}).setdefault(key[1:], []).append(value)
        for name, family in list(_families.items()):
            yield family.collect(read.get(name, {}))


_collector = _Collector()
REGISTRY.register(_collector)
_ours = CollectorRegistry()
_ours.register(_collector)


def registry() -> CollectorRegistry:
    """Return the registry of a scrape: our metrics, and those of the process if there is only
    one."""
    return _ours if slots.is_shared() else REGISTRY


def declared() -> list[Family[Any]]:
    """Return every metric, sorted by name."""
    return [family for _, family in sorted(_families.items())]


def worker_ended(number: int) -> None:
    """Remove the gauges of a dead worker; its counts stay."""
    slots.worker_ended(number, _transient)


OVERFLOW = Counter(
    slots.OVERFLOW,
    "Events counted together because there are too many series; always 0 unless there is a bug",
)
