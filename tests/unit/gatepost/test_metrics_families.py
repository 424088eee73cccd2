from collections.abc import Callable, Sequence

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client import Histogram as Theirs

from gatepost.metrics import Counter, Gauge, Histogram, declared
from gatepost.metrics.families import Across


def shown(name: str) -> list[str]:
    return [line for line in generate_latest(REGISTRY).decode().splitlines() if name in line]


def test_a_counter_is_shown_from_its_first_combination_of_labels() -> None:
    counter = Counter("gatepost_t1_total", "Help", ["a", "b"])
    head = ["# HELP gatepost_t1_total Help", "# TYPE gatepost_t1_total counter"]
    assert shown("gatepost_t1") == head
    counter.labels("x", 'y"').inc()
    counter.labels("x", 'y"').inc(2)
    assert shown("gatepost_t1") == [*head, 'gatepost_t1_total{a="x",b="y\\""} 3.0']


def test_a_counter_without_labels_is_shown_at_once() -> None:
    Counter("gatepost_t2_total", "Help")
    assert shown("gatepost_t2_total")[-1] == "gatepost_t2_total 0.0"


def test_a_counter_never_goes_down() -> None:
    with pytest.raises(ValueError, match="down"):
        Counter("gatepost_t3_total", "Help").inc(-1)


def test_a_gauge_that_nobody_set_is_0_or_not_there() -> None:
    plain, labelled = (
        Gauge("gatepost_t4", "Help", across="min"),
        Gauge("gatepost_t5", "Help", ["a"], across="sum"),
    )
    labelled.labels("x")
    assert shown("gatepost_t4")[-1] == "gatepost_t4 0.0"
    assert shown("gatepost_t5")[-1] == "# TYPE gatepost_t5 gauge"
    plain.add(2)
    plain.add(-3)
    labelled.labels("x").set(4)
    assert shown("gatepost_t4")[-1] == "gatepost_t4 -1.0"
    assert shown("gatepost_t5")[-1] == 'gatepost_t5{a="x"} 4.0'


@pytest.mark.parametrize(("across", "number"), [("min", 1.0), ("max", 3.0), ("sum", 6.0)])
def test_gauges_of_several_processes_become_one(
    across: Across, number: float, gauge: Callable[..., Gauge]
) -> None:
    family = gauge(across)
    (sample,) = family.collect({(): [3.0, 1.0, 2.0]}).samples
    assert sample.value == number


@pytest.fixture
def gauge(request: pytest.FixtureRequest) -> Callable[..., Gauge]:
    return lambda across: Gauge(f"gatepost_t6_{across}", "Help", across=across)


BOUNDS = (0.0001, 0.5, 1, 10)


@pytest.mark.parametrize(
    "values", [(), (0.0,), (0.5, 0.50001, 10, 11, 1e9)], ids=["none", "zero", "bounds"]
)
def test_a_histogram_is_shown_as_the_library_shows_its_own(values: Sequence[float]) -> None:
    name = f"gatepost_t7_{len(values)}"
    ours = Histogram(name, "Help", buckets=BOUNDS)
    registry = CollectorRegistry()
    theirs = Theirs(name, "Help", buckets=BOUNDS, registry=registry)
    for value in values:
        ours.observe(value)
        theirs.observe(value)
    expected = [
        line
        for line in generate_latest(registry).decode().splitlines()
        if f"{name}_created" not in line
    ]
    assert shown(name) == expected


def test_histograms_of_several_processes_are_added() -> None:
    family = Histogram("gatepost_t8", "Help", ["a"], buckets=[1])
    read: dict[tuple[str, ...], list[float]] = {
        ("x", "1.0"): [2.0, 1.0],
        ("x", "+Inf"): [0.0, 4.0],
        ("x", "sum"): [1.5, 50.0],
    }
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for sample in family.collect(read).samples
    }
    assert samples == {
        ("gatepost_t8_bucket", "1.0"): 3,
        ("gatepost_t8_bucket", "+Inf"): 7,
        ("gatepost_t8_count", None): 7,
        ("gatepost_t8_sum", None): 51.5,
    }


def test_what_cannot_be_a_metric() -> None:
    Counter("gatepost_t9_total", "Help", ["a"])
    with pytest.raises(ValueError, match="already"):
        Counter("gatepost_t9_total", "Help")
    with pytest.raises(ValueError, match="labels"):
        next(family for family in declared() if family.name == "gatepost_t9_total").labels("x", "y")
    with pytest.raises(ValueError, match="increase"):
        Histogram("gatepost_t10", "Help", buckets=[2, 1])
