"""Metrics of a daemon, and its metrics and probes over HTTP."""

from gatepost.metrics.families import Count, Counter, Gauge, Histogram, declared, worker_ended
from gatepost.metrics.server import MetricsServer, Probes
from gatepost.metrics.slots import become_worker, share

__all__ = [
    "Count",
    "Counter",
    "Gauge",
    "Histogram",
    "MetricsServer",
    "Probes",
    "become_worker",
    "declared",
    "share",
    "worker_ended",
]
