"""Writes docs/reference/metrics.md from the metrics that the code declares."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import REGISTRY

ROOT = Path(__file__).parent.parent
_KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def declared() -> list[MetricWrapperBase]:
    """Every metric of ours, by name."""
    for package in ("gatepost", "milters", "policyd"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.startswith("gatepost.cli"):
                importlib.import_module(module.name)
    collectors = set(REGISTRY._collector_to_names)
    ours = [
        collector
        for collector in collectors
        if isinstance(collector, MetricWrapperBase) and collector._name.startswith("gatepost_")
    ]
    return sorted(ours, key=lambda metric: metric._name)


def page(metrics: list[MetricWrapperBase]) -> str:
    """The page in Markdown."""
    lines = [
        "# Metrics",
        "",
        "Written by `make docs` from the code. Served at `metrics_listen` of each daemon:",
        "`/metrics` for Prometheus, `/healthz` (should it be restarted?) and `/readyz` (should it",
        "get mail?) for probes.",
        "",
        "| metric | kind | labels | what it tells |",
        "|---|---|---|---|",
    ]
    for metric in metrics:
        kind = _KINDS[type(metric)]
        name = metric._name + ("_total" if kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        lines.append(f"| `{name}` | {kind} | {labels} | {metric._documentation} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs/reference/metrics.md").write_text(page(declared()), encoding="utf-8")
